"""Templates in the store: written, read, run, shipped; and their code is kept."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.api.frames import Outcome
from cumulus.api.happened import EventQuery
from cumulus.api.previews import Change
from cumulus.api.templates import TemplateRun
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.runtime import shipped_templates
from cumulus.controller.runtime.service import JobsService
from cumulus.controller.runtime.shipped_templates import ship
from cumulus.controller.runtime.upkeep import Upkeep
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from cumulus.crd_like_specs.packing import digest, pack
from cumulus.crd_like_specs.template import Overrides, Template, instantiate
from make import T
from runtime_kit import Kit

CODE = {"main.py": "def main(n): return n"}
PACKED = digest(pack({name: text.encode() for name, text in CODE.items()}))


def template(name: str = "count_it", **job: Any) -> Template:
    body = {"code": {"files": CODE}, "args": {"n": "{{n}}"}, **job}
    parameters = [{"name": "n", "type": "int", "default": 1, "maximum": 9}]
    spec = {"parameters": parameters, "job": body}
    return Template.model_validate({"metadata": {"name": name}, "spec": spec})


async def test_it_is_written_once_and_its_code_is_named_by_digest(kit: Kit) -> None:
    assert (await kit.templates.put(template(), dry_run=True)).outcome is Outcome.CREATED
    assert await kit.templates.list() == ()
    assert kit.blobs.size(PACKED) is None
    made = await kit.templates.put(template())
    assert made.outcome is Outcome.CREATED
    found = await kit.templates.get("count_it")
    assert found == made.resource
    assert found.spec.job.code is not None
    assert found.spec.job.code.digest == PACKED
    assert found.metadata.creation_timestamp == T
    assert (await kit.templates.put(template())).outcome is Outcome.UNCHANGED
    changed = await kit.templates.put(template(duration=60))
    assert (changed.outcome, changed.resource.metadata.generation) == (Outcome.CONFIGURED, 2)


async def test_a_job_of_it_is_a_job_like_any_other(kit: Kit) -> None:
    await kit.templates.put(template())
    hers = kit.templates.seen_by(Viewer("hers", own_only=True, who="her"))
    overrides = Overrides(duration=60)
    job = await hers.run(TemplateRun("count_it", {"n": "3"}, overrides, labels={"a": "b"}))
    assert job.spec.args == {"n": 3}
    assert job.spec.duration == 60
    meta = job.metadata
    assert (meta.owner, meta.labels) == ("hers", {"a": "b"})
    assert meta.annotations == {"cumulus.dev/template": "count_it"}
    assert meta.name.startswith("count-it-")
    assert kit.records.job(meta.name) == job
    again = [await hers.run(TemplateRun("count_it", idempotency_key="k")) for _ in range(2)]
    assert again[0].metadata.uid == again[1].metadata.uid
    with pytest.raises(ConflictError, match="exists with another spec"):
        await hers.run(TemplateRun("count_it", {"n": 4}, name=meta.name))
    for wanted, expected in (
        (TemplateRun("count_it", {"n": 10}), "params.n: 10 is given, expected at most 9"),
        (TemplateRun("count_it", name="No Name"), "lower-case letters"),
    ):
        with pytest.raises(ValidationError, match=expected):
            await hers.run(wanted)
    with pytest.raises(NotFoundError, match="template 'count' not found: there is count_it"):
        await hers.run(TemplateRun("count"))


async def test_jobs_stay_when_it_goes(kit: Kit) -> None:
    await kit.templates.put(template())
    job = await kit.templates.run(TemplateRun("count_it"))
    await kit.templates.delete("count_it")
    assert kit.records.job(job.metadata.name) is not None
    with pytest.raises(NotFoundError):
        await kit.templates.delete("count_it")
    told = [
        (one.type, one.name)
        async for one in kit.events.read(EventQuery(), EVERYTHING)
        if one.kind == "Template"
    ]
    assert told == [("TemplateChanged", "count_it"), ("TemplateDeleted", "count_it")]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ({"path": "here"}, "spec.job.code.path: a path means something on the client only"),
        ({"digest": f"sha256:{'1' * 64}"}, "spec.job.code.digest: sha256:1111"),
        ({"files": {"main.py": "", "../x": ""}}, "could leave the folder"),
    ],
)
async def test_code_that_is_none_is_refused(kit: Kit, code: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        await kit.templates.put(template(code=code))
    assert await kit.templates.list() == ()


async def test_its_code_is_kept_as_long_as_it_is_there(kit: Kit) -> None:
    await kit.templates.put(template())
    kit.clock.advance(10**10)
    upkeep = Upkeep(kit.records, kit.blobs, kit.logs, kit.clock, kit.queue.add)
    await upkeep.sweep()
    assert kit.blobs.size(PACKED) is not None
    await kit.templates.delete("count_it")
    await upkeep.sweep()
    assert kit.blobs.size(PACKED) is None


async def test_it_is_applied_planned_and_shown_as_every_kind(kit: Kit) -> None:
    jobs = JobsService(kit.desired, kit.views, kit.streams, kit.workers, kit.operations)
    submitter = jobs.seen_by(Viewer("hers", own_only=True))

    async def planned(wanted: Template) -> Change:
        preview = await submitter.plan([wanted], prune="", forecast=True)
        return preview.changes[0].change

    assert await planned(template()) is Change.CREATED
    await jobs.apply(template(), dry_run=False)
    assert await planned(template()) is Change.UNCHANGED
    assert await planned(template(duration=60)) is Change.CHANGED
    page = await submitter.list("Template", label_selector="", phase="", limit=9, continue_token="")
    assert [one.metadata.name for one in page.items] == ["count_it"]
    assert await submitter.get("Template", "count_it") == page.items[0]
    watched = submitter.watch("Template", name="", label_selector="", since=0)
    first = await anext(watched)
    assert first.resource == page.items[0]
    await watched.aclose()  # type: ignore[attr-defined]


async def test_what_is_shipped_is_put_there_and_follows_unless_it_was_changed(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ship(kit.templates)
    names = ["echo_params", "pytorch_example", "pytorch_infer"]
    found = await kit.templates.list()
    assert [one.metadata.name for one in found] == names
    await ship(kit.templates)
    assert await kit.templates.list() == found

    mine = found[0].model_copy(
        update={"spec": found[0].spec.model_copy(update={"description": "mine"})}
    )
    await kit.templates.put(mine)
    newer = [
        (one.model_copy(update={"spec": one.spec.model_copy(update={"description": "new"})}), None)
        for one in found
    ]
    monkeypatch.setattr(shipped_templates, "_read", lambda: newer)
    await ship(kit.templates)
    said = {one.metadata.name: one.spec.description for one in await kit.templates.list()}
    assert said == {"echo_params": "mine", "pytorch_example": "new", "pytorch_infer": "new"}
    await kit.templates.delete("pytorch_infer")
    await ship(kit.templates)
    assert (await kit.templates.get("pytorch_infer")).spec.description == "new"


async def test_a_field_that_a_newer_version_adds_is_nobodys_change(kit: Kit) -> None:
    await ship(kit.templates)
    record = kit.store.get("templates", "echo_params")
    assert record is not None
    older = {**record.doc, "spec": {**record.doc["spec"], "job": {**record.doc["spec"]["job"]}}}
    del older["spec"]["job"]["user"], older["spec"]["job"]["secrets"]
    notes = older["metadata"]["annotations"]
    assert shipped_templates._hash(Template.model_validate(older)) == notes["cumulus.dev/shipped"]


async def test_jobs_of_shipped_ones_are_what_their_users_ask_for(kit: Kit) -> None:
    await ship(kit.templates)
    data = f"sha256:{'ab' * 32}"

    async def spec(name: str, **params: Any) -> Any:
        found = await kit.templates.get(name)
        return instantiate(found, params)

    echoed = await spec("echo_params", dataset=data, message="a b", flag="true")
    assert echoed.args["dataset"] == "/datasets/abababababab"
    assert (echoed.args["message"], echoed.args["flag"]) == ("a b", True)
    trained = await spec("pytorch_example", epochs="2")
    assert (trained.runtime, trained.args["epochs"]) == ("torch", 2)
    inferred = await spec("pytorch_infer", dataset=data, arguments='["--top", "3"]')
    assert inferred.args["arguments"] == ["--top", "3"]
    assert inferred.args["script"] == "infer.py"
    for wrong in ("../x.py", "/etc/x.py", "a/../x.py", "x.sh", "-c.py"):
        with pytest.raises(ValidationError, match=r"params\.script"):
            await spec("pytorch_infer", dataset=data, script=wrong)
