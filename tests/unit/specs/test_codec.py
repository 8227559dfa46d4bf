"""Files to resources: what is read, and where and how every problem is told."""

import io
from pathlib import Path

import pytest
from cumulus.crd_like_specs import yaml_nodes
from cumulus.crd_like_specs.codec import KINDS, dump_yaml, load_bytes, load_sources, load_text
from cumulus.crd_like_specs.errors import Problem, ValidationError
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.worker import Worker

HEAD = "apiVersion: cumulus.dev/v1\nkind: Job\nmetadata: {name: a}\n"
GOOD = HEAD + "spec: {image: x}\n"


def problems(text: str | bytes) -> list[Problem]:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    with pytest.raises(ValidationError) as caught:
        load_bytes(data, "f.yaml", Path())
    assert caught.value.problems
    return list(caught.value.problems)


def told(text: str | bytes) -> list[str]:
    return [str(problem) for problem in problems(text)]


def test_a_job_is_read_with_its_units() -> None:
    (job,) = load_text(HEAD + "spec: {code: {path: .}, gpu: {memory: 50%}, duration: 1h30m}\n")
    assert isinstance(job, Job)
    assert job.spec.gpu is not None
    assert (job.spec.gpu.memory, job.spec.duration) == (500, 5400)


def test_several_documents_empty_ones_and_comments() -> None:
    text = f"# nothing\n---\n{GOOD}---\n---\n# only this\n---\n{GOOD.replace('name: a', 'name: b')}"
    assert [one.metadata.name for one in load_text(text)] == ["a", "b"]


def test_every_kind_is_read() -> None:
    text = (
        "apiVersion: cumulus.dev/v1\nkind: Worker\nmetadata: {name: w, labels: {zone: a}}\n"
        "spec: {cordoned: true}\n"
    )
    (worker,) = load_text(text)
    assert isinstance(worker, Worker)
    assert worker.spec.cordoned


def test_json_is_read_too() -> None:
    text = """{
\t"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": "a"},
\t"spec": {"image": "x", "args": ["\\u00e9", "\\ud83d\\ude00", "a\\/b\\t"]}
}"""
    (loaded,) = load_bytes(text.encode(), "a.json", Path())
    assert isinstance(loaded.resource, Job)
    assert loaded.resource.spec.args == ["é", "😀", "a/b\t"]
    with pytest.raises(ValidationError, match=r"a.json:3:11: spec.nope: is no known field"):
        load_bytes(text.replace('"image"', '"nope": 1, "image"').encode(), "a.json", Path())


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_what_is_no_number_of_json_is_refused_with_its_place(number: str) -> None:
    text = """{"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": "a"},
 "spec": {"code": {"path": "x"}, "args": [1E-4, %s]}}"""
    with pytest.raises(ValidationError) as caught:
        load_bytes((text % number).encode(), "a.json", Path())
    assert str(caught.value) == (
        f"a.json:2:49: spec.args[1]: {number} is no finite number: expected one that JSON can hold"
    )


def test_keys_of_json_may_be_long_and_their_colons_on_other_lines() -> None:
    text = """{"apiVersion": "cumulus.dev/v1", "kind"
: "Job", "metadata": {"name": "a"}, "spec": {"code": {"path": "x"}, "args": {"%s": 1e3}}}"""
    (loaded,) = load_bytes((text % ("k" * 2000)).encode(), "a.json", Path())
    assert isinstance(loaded.resource, Job)
    assert loaded.resource.spec.args == {"k" * 2000: 1000.0}


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-4", 1e-4), ("1E3", 1e3), ("-.5e+1", -5.0), ("'1e-4'", "1e-4"), ("!!str 1e3", "1e3")],
)
def test_a_number_among_the_arguments_needs_no_dot(written: str, value: object) -> None:
    text = f"spec: {{code: {{path: x}}, args: {{lr: {written}}}, env: {{LR: {written}}}}}\n"
    (job,) = load_text(HEAD + text)
    assert isinstance(job, Job)
    assert job.spec.args == {"lr": value}
    assert job.spec.env == {"LR": written.removeprefix("!!str ").strip("'")}


def test_what_a_list_holds_is_read_each_with_its_place() -> None:
    one = '{"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": "%s"}, "spec": %s}'
    text = '{"apiVersion": "cumulus.dev/v1", "kind": "List", "items": [\n%s,\n%s]}'
    good = text % (one % ("a", '{"image": "x"}'), one % ("b", '{"image": "y", "args": ["-v"]}'))
    loaded = load_bytes(good.encode(), "f.json", Path())
    assert [(each.resource.metadata.name, each.line) for each in loaded] == [("a", 2), ("b", 3)]
    bad = text % (
        one % ("a", '{"image": "x", "nope": 1}'),
        one % ("b", '{"image": "x", "duration": 1e999}'),
    )
    with pytest.raises(ValidationError) as caught:
        load_bytes(bad.encode(), "f.json", Path())
    assert [str(problem).partition(": expected")[0] for problem in caught.value.problems] == [
        "f.json:2:99: spec.nope: is no known field",
        "f.json:3:111: items[1].spec.duration: 1e999 is no finite number",
    ]
    empty = b'{"apiVersion": "cumulus.dev/v1", "kind": "List", "items": []}'
    assert load_bytes(empty, "f.json", Path()) == []


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ("[null]", "1:60: expected a mapping with apiVersion and kind"),
        ('[{"kind": "List", "items": []}]', "1:69: kind: 'List' is unknown: expected Job"),
        ("{}", "1:42: kind: 'List' is unknown: expected Job"),
    ],
)
def test_a_list_holds_resources(items: str, said: str) -> None:
    text = f'{{"apiVersion": "cumulus.dev/v1", "kind": "List", "items": {items}}}'
    assert any(line.startswith(f"f.yaml:{said}") for line in told(text)), told(text)


def test_text_in_utf8_with_a_mark_at_its_start() -> None:
    assert load_bytes(b"\xef\xbb\xbf" + GOOD.encode(), "f", Path())[0].line == 1


def test_all_problems_of_a_file_come_at_once_in_order_with_their_places() -> None:
    text = f"""{HEAD}spec:
  code: {{paht: x}}
  gpuu: {{}}
  gpu: {{memory: 2, cuont: 1}}
  duration: 1:30
  suspend: yes
---
kind: Jop
apiVersion: cumulus.dev/v2
"""
    assert told(text) == [
        "f.yaml:5:10: spec.code.paht: is no known field: did you mean path?",
        "f.yaml:6:3: spec.gpuu: is no known field: did you mean gpu?",
        "f.yaml:7:17: spec.gpu.memory: 2 is out of range: expected more than 0 and at most 1",
        "f.yaml:7:20: spec.gpu.cuont: is no known field: did you mean count?",
        (
            "f.yaml:8:13: spec.duration: 1:30 would be read to the base of 60: quote it, or write a "
            "duration as 90m"
        ),
        "f.yaml:9:12: spec.suspend: 'yes' could be text or truth: write true, false or quote it",
        f"f.yaml:11:7: kind: 'Jop' is unknown: expected {' or '.join(KINDS)}",
        "f.yaml:12:13: apiVersion: 'cumulus.dev/v2' is unknown: expected cumulus.dev/v1",
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{image: x, whenUnschedulable: wait}",
         "4:35: spec.whenUnschedulable: expected 'Fail' or 'Wait', got 'wait'"),
        ("{image: x, resources: {pids: lots}}",
         "4:30: spec.resources.pids: expected a whole number, got 'lots'"),
        ("{image: x, resources: {pids: 1}}", "4:30: spec.resources.pids: expected at least 8, got 1"),
        ("{image: x, resources: {pids: true}}",
         "4:30: spec.resources.pids: expected a whole number, got true"),
        ("{image: x, gpu: {count: true}}", "4:24: spec.gpu.count: expected a whole number, got true"),
        ("{image: x, suspend: 1}", "4:22: spec.suspend: expected true or false, got 1"),
        ("{image: x, stopAfterDisconnect: 4s}",
         "4:34: spec.stopAfterDisconnect: 4 s is given, expected 0s (never) or 5s at least"),
        ("{image: x, resources: 5}", "4:23: spec.resources: expected a mapping, got 5"),
        ("{image: x, env: {A: 1}}", "4:21: spec.env.A: expected text: quote it, got 1"),
        ("{image: x, command: ls}", "4:21: spec.command: expected a list, got 'ls'"),
        ("{image: x, retry: {on: [Erorr]}}",
         ("4:25: spec.retry.on[0]: expected 'Error', 'OutOfMemory', 'TimedOut', 'WorkerLost', "
         "'Rejected' or 'Preparation', got 'Erorr'")),
        ("{code: {digest: y}}",
         "4:17: spec.code.digest: expected sha256: and 64 hex digits, got 'y'"),
        ("{code: {path: x, files: {}}}",
         "4:14: spec.code: exactly one of path, files, digest is expected, got ['path', 'files']"),
        ("{}", "4:7: spec: either code or image is expected, not both and not neither"),
        ("null", "4:7: spec: expected a mapping, got nothing"),
        ("{image: x, nonsense: 1}",
         "4:18: spec.nonsense: is no known field: expected one of code, image, command"),
        ("{image: " + "x" * 600 + "}", "4:8: spec.image: expected at most 512 characters, got 'xxx"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told_in_words_for_people(spec: str, expected: str) -> None:
    (only,) = told(f"{HEAD}spec: {spec}\n".replace("spec: {", "spec: {", 1))
    place = expected.split(": ", 1)
    assert only.removeprefix("f.yaml:").split(": ", 1)[1].startswith(place[1])
    assert len(only) < 400


def test_a_missing_field_is_told_where_it_should_stand() -> None:
    assert told("apiVersion: cumulus.dev/v1\nkind: Job\nmetadata: {labels: {}}\n") == [
        "f.yaml:1:1: spec: is missing",
        "f.yaml:3:11: metadata.name: is missing",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: a: the key 'a' stands here again, first on line 1"),
        ("\ta: 1", "1:1: is no YAML: while scanning for the next token, found character '\\t'"),
        ("a: [1", "is no YAML"),
        ("a: b: c", "is no YAML: mapping values are not allowed here"),
        ("a: \x01", "the character U+0001 is not allowed in YAML"),
        (b"a: \xff", "f.yaml:1:4: byte 0xff is not UTF-8: expected text in UTF-8"),
        (b"ok: 1\nb\xe9: 1", "f.yaml:2:2: byte 0xe9 is not UTF-8"),
        ("a: 1".encode("utf-16"), "byte 0xff is not UTF-8"),
        ("a: " + "x" * (1 << 20), "is too large: expected at most 1048576 bytes of text"),
        ("a: 1\n---\n" * 101, "expected at most 100 documents"),
        ("- 1", "1:1: expected a mapping with apiVersion and kind"),
        ("just text", "1:1: expected a mapping with apiVersion and kind"),
        ("x: !!python/object/apply:os.system [ls]", "is not taken: expected plain values"),
        ("x: !!python/name:os.system", "is not taken"),
        ("!!set {a}", "the tag 'tag:yaml.org,2002:set' is not taken"),
        ("a: !!binary aGk=", "is not taken"),
        ("a: !own 1", "the tag '!own' is not taken"),
        ("[1]: 2", "1:1: this key is a list or mapping: expected text"),
        ("a: &a {b: 1}\nc: {<<: *a}", "merge keys (<<) are not taken"),
        ("a: *nowhere", "is no YAML: found undefined alias"),
        ("- " * 500_000, "is nested deeper than 64 levels"),
        ("a: &a [*a]", "is nested deeper than 64 levels"),
        ("a: " + "[" * 65 + "]" * 65, "is nested deeper than 64 levels"),
        ("a: " + "[" * 1_000_000, "is nested deeper than 64 levels"),
        ("a: no", "'no' could be text or truth"),
        ("country: NO", "country: 'NO' could be text or truth: write true, false or quote it"),
        ("a: on", "'on' could be text or truth"),
        ("a: 12:30:45", "12:30:45 would be read to the base of 60"),
        ("a: 0777", "0777 would be read as octal: quote it or drop the zero"),
        ("a: .nan", ".nan is no finite number"),
        ("a: -.Inf", "-.Inf is no finite number"),
        ("a: 18446744073709551616", "18446744073709551616 does not fit into 64 bits: quote it"),
        ("a: 1" + "0" * 5000, "is no number"),
        ('a: "\\ud800"', "holds half a character"),
        ('"\\udfff": 1', "holds half a character"),
    ],
)
def test_what_yaml_would_guess_at_or_choke_on(text: str | bytes, part: str) -> None:
    assert any(part in line for line in told(text)), told(text)


def test_an_alias_bomb_is_counted_out_quickly() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert any(
        "more than 100000 values, aliases counted" in line for line in told("\n".join(lines))
    )


def test_ordinary_aliases_are_fine() -> None:
    text = f"{HEAD}spec: {{image: x, env: &e {{A: b}}, nodeSelector: *e}}\n"
    (job,) = load_text(text)
    assert isinstance(job, Job)
    assert job.spec.node_selector == {"A": "b"}


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01",
        "=",
        "1e3",
        "0o17",
        "y",
        "~x",
        "'yes'",
        "'1:30'",
        "1_000m",
        "a: b".replace(": ", ":"),
    ],
)
def test_what_looks_like_text_stays_text(text: str) -> None:
    (job,) = load_text(f"{HEAD}spec: {{image: x, env: {{A: {text}}}}}\n")
    assert isinstance(job, Job)
    assert job.spec.env == {"A": text.strip("'")}


def test_keys_are_text_as_they_are_written() -> None:
    (job,) = load_text(f"{HEAD}spec: {{code: {{path: x}}, args: {{on: 1, 2: 3, ~: 4}}}}\n")
    assert isinstance(job, Job)
    assert job.spec.args == {"on": 1, "2": 3, "~": 4}


def test_folders_files_and_stdin_in_order(tmp_path: Path) -> None:
    def write(name: str, *jobs: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n".join(GOOD.replace("name: a", f"name: {job}") for job in jobs))
        return path

    write("d/2.yml", "second")
    write("d/1.yaml", "first", "first-b")
    write("d/sub/3.json", "third")
    write("d/.hidden.yaml", "hidden")
    write("d/.git/x.yaml", "hidden")
    (tmp_path / "d" / "readme.md").write_text("not read")
    single = write("single.txt", "single")
    stdin = io.BytesIO(GOOD.replace("name: a", "name: typed").encode())
    found = load_sources([tmp_path / "d", "-", single], stdin)
    names = [one.resource.metadata.name for one in found]
    assert names == ["first", "first-b", "second", "third", "typed", "single"]
    assert [one.line for one in found][:2] == [1, 6]
    assert found[0].folder == tmp_path / "d"
    assert found[3].folder == tmp_path / "d" / "sub"
    assert found[4].file == "<stdin>"


def test_problems_of_all_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text("a: 1\n")
    (tmp_path / "2.yaml").write_text(GOOD + "stauts: {}\n")
    (tmp_path / "empty").mkdir()
    missing = tmp_path / "missing.yaml"
    with pytest.raises(ValidationError) as caught:
        load_sources([tmp_path, missing, tmp_path / "empty", "-"], io.BytesIO(b"\xff"))
    text = str(caught.value)
    for part in (
        f"{tmp_path}/1.yaml:1:1: apiVersion: is missing",
        f"{tmp_path}/2.yaml:5:1: stauts: is no known field: did you mean status?",
        f"{missing}: cannot be read: No such file or directory",
        f"{tmp_path}/empty: holds no files ending in .yaml, .yml, .json",
        "<stdin>:1:1: byte 0xff is not UTF-8",
    ):
        assert part in text


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# soon\n")
    with pytest.raises(ValidationError, match="holds no documents: expected a Job"):
        load_sources([path])


def test_an_endless_input_is_not_read_to_its_end() -> None:
    with pytest.raises(ValidationError, match="is too large"):
        load_sources(["/dev/zero"])
    with Path("/dev/zero").open("rb") as endless, pytest.raises(ValidationError, match="too large"):
        load_sources(["-"], endless)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    with pytest.raises(ValidationError, match="cannot be read: Too many levels"):
        load_sources([loop])


def test_dumped_yaml_is_short_and_reads_back() -> None:
    jobs = load_text(GOOD + "---\n" + HEAD + "spec: {image: y, resources: {memory: 2Gi}}\n")
    text = dump_yaml(jobs)
    assert "memory: 2Gi" in text
    assert load_text(text) == jobs
    assert load_text(dump_yaml(jobs[0])) == jobs[:1]


def test_the_reader_is_not_slow_on_the_largest_file() -> None:
    """Counts, not time: the walk sees each value once."""
    rows = "".join(f"- {n}\n" for n in range(9_000))
    documents, found = yaml_nodes.parse(rows, "f")
    assert not found
    assert len(documents[0].marks) == 9_001
