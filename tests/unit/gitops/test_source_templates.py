"""Templates in a source's files: where they may be, how they follow, and when they go."""

from __future__ import annotations

import json
from typing import Any

from cumulus.api.templates import TemplateRun
from cumulus.crd_like_specs.source import LABEL_SOURCE
from cumulus.crd_like_specs.template import Template
from source_kit import MAIN, SourceKit, spec


def template(name: str, **job: Any) -> str:
    body = {"code": {"files": {"main.py": MAIN}}, "args": ["{{n}}"], **job}
    parameters = [{"name": "n", "type": "int", "default": 1}]
    head = {"apiVersion": "cumulus.dev/v1", "kind": "Template", "metadata": {"name": name}}
    return json.dumps({**head, "spec": {"parameters": parameters, "job": body}})


async def names(source: SourceKit) -> list[str]:
    return [one.metadata.name for one in await source.kit.templates.list()]


async def test_a_source_declares_them_only_where_it_is_told_to(folder: SourceKit) -> None:
    folder.write("a.yaml", template("count_it"))
    await folder.settle()
    assert await names(folder) == []
    assert "templates: true" in folder.files()["a.yaml"].message
    folder.restart(templates=True)
    await folder.settle()
    assert await names(folder) == ["count_it"]
    assert folder.states() == {"a.yaml": "Synced"}
    found = await folder.kit.templates.get("count_it")
    assert found.metadata.labels == {LABEL_SOURCE: "nightly"}
    assert folder.source().status.jobs == 0
    job = await folder.kit.templates.run(TemplateRun("count_it", {"n": 4}))
    assert job.spec.args == [4]
    version = folder.kit.store.version
    await folder.look()
    assert folder.kit.store.version == version, "an unchanged folder writes nothing"


async def test_they_follow_their_file_and_its_code(folder: SourceKit) -> None:
    folder.restart(templates=True)
    folder.write("code/main.py", MAIN)
    folder.write("a.yaml", f"{spec('one')}\n---\n{template('count_it', code={'path': 'code'})}")
    await folder.settle()
    assert (folder.names(), await names(folder)) == (["one"], ["count_it"])
    before = (await folder.kit.templates.get("count_it")).spec.job.code
    folder.write("code/main.py", f"{MAIN}\n# changed\n")
    await folder.settle()
    found = await folder.kit.templates.get("count_it")
    after = found.spec.job.code
    assert before is not None
    assert after is not None
    assert before.digest != after.digest
    assert after.digest is not None
    assert folder.kit.blobs.size(after.digest)
    assert found.metadata.generation == 2

    await folder.kit.templates.delete("count_it")
    await folder.settle()
    assert await names(folder) == ["count_it"], "what is gone is made again"


async def test_what_no_file_declares_goes_with_prune_alone(folder: SourceKit) -> None:
    folder.restart(templates=True, prune=False)
    folder.write("a.yaml", template("count_it"))
    folder.jobs("b.yaml", "one")
    await folder.settle()
    (folder.folder / "a.yaml").unlink()
    await folder.settle()
    assert await names(folder) == ["count_it"]
    folder.restart(prune=True)
    folder.write("b.yaml", "kind: Job")  # whatever is in there may be the template
    await folder.settle()
    assert await names(folder) == ["count_it"]
    folder.jobs("b.yaml", "one")
    await folder.settle()
    assert await names(folder) == []


async def test_others_templates_are_left_alone(folder: SourceKit) -> None:
    mine = Template.model_validate(json.loads(template("count_it", duration=60)))
    await folder.kit.templates.put(mine)
    folder.restart(templates=True)
    folder.write("a.yaml", template("count_it"))
    folder.write("b.yaml", template("twice"))
    folder.write("c.yaml", template("twice"))
    await folder.settle()
    assert (await folder.kit.templates.get("count_it")).spec.job.duration == 60
    shown = folder.files()
    assert "did not make" in shown["a.yaml"].message
    assert (shown["b.yaml"].state.value, shown["c.yaml"].state.value) == ("Synced", "OutOfSync")
    assert "is defined by b.yaml too" in shown["c.yaml"].message
