// A stream of server-sent events that rests while nobody looks and begins again where it was.
export class Stream {
  constructor(url, handlers, state = () => {}) {
    Object.assign(this, { url, handlers, state, source: null, last: "" });
    this.seen = () => (document.hidden ? this.rest() : this.start());
    document.addEventListener("visibilitychange", this.seen);
    if (!document.hidden) this.start();
  }

  start() {
    if (this.source) return;
    this.source = new EventSource(this.url(this.last));
    this.source.onopen = () => this.state("on");
    this.source.onerror = () => {
      this.state("off");
      // Closed for good is what a refusal looks like: the page knows where to send us.
      if (this.source?.readyState === EventSource.CLOSED) this.retry();
    };
    for (const [kind, handle] of Object.entries(this.handlers)) {
      this.source.addEventListener(kind, (event) => {
        this.last = event.lastEventId || this.last;
        handle(JSON.parse(event.data));
      });
    }
  }

  rest() {
    this.source?.close();
    this.source = null;
  }

  async retry() {
    this.rest();
    const answer = await fetch("/ui/series?window=60").catch(() => null);
    if (answer?.status === 401) location.reload();
    else setTimeout(() => document.hidden || this.closed || this.start(), 3000);
  }

  close() {
    this.closed = true;
    this.rest();
    document.removeEventListener("visibilitychange", this.seen);
  }
}
