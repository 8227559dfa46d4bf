"""What a job's own code is given: a state that is whole at every moment, and an answer when to pause."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_job import Job, finish

SAVES = """
    from {module} import load_checkpoint, save_checkpoint, should_pause

    def main():
        state = load_checkpoint(default=0)
        save_checkpoint(state + 1)
        return [state, should_pause()]
"""


@pytest.fixture
def kept(job: Job, tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    job.settings |= {"CUMULUS_CHECKPOINT_DIR": str(folder), "CUMULUS_CHECKPOINT_SIZE": "100000"}
    return folder


@pytest.mark.parametrize("module", ["cumulus_job", "runtime", "cumulus.sdk.runtime"])
def test_a_state_is_there_for_the_next_attempt(job: Job, kept: Path, module: str) -> None:
    text = SAVES.format(module=module)
    assert [job.run(text).result for _ in range(4)] == [[n, False] for n in range(4)]
    assert (kept / "COMMITTED").read_text() == "state-000004"
    assert sorted(p.name for p in kept.iterdir() if p.is_dir()) == ["state-000003", "state-000004"]
    assert (kept / ".pausable").exists()


def test_a_module_of_the_jobs_own_wins(job: Job, kept: Path) -> None:
    own = {"runtime__py": "mine = True\n"}
    assert job.run(
        "import runtime\n\n    def main():\n        return runtime.mine\n".replace("    ", "", 1),
        **own,
    ).result
    assert list(kept.iterdir()) == []


def test_returning_when_it_is_to_pause_is_no_result(job: Job, kept: Path) -> None:
    (job.job / "warning.json").write_text(json.dumps({"reason": "Suspended", "ends_at": 1.0}))
    outcome = job.run(SAVES.format(module="cumulus_job"))
    assert outcome.error[0] == "Paused"
    assert outcome.code == 75
    assert (kept / "COMMITTED").exists()


def test_an_end_that_is_no_pause_is_told_apart(job: Job, kept: Path) -> None:
    assert kept
    (job.job / "warning.json").write_text(json.dumps({"reason": "LeaseEnds", "ends_at": 1.0}))
    text = """
    from cumulus_job import seconds_left, should_pause, should_stop

    def main():
        return [should_pause(), should_stop(), seconds_left()]
    """
    assert job.run(text).result == [False, True, 0.0]


def test_a_state_that_is_too_large_leaves_the_one_before(job: Job, kept: Path) -> None:
    text = """
    from cumulus_job import CheckpointTooLargeError, load_checkpoint, save_checkpoint

    def main():
        save_checkpoint("small")
        try:
            save_checkpoint(bytes(200_000))
        except CheckpointTooLargeError as error:
            return [load_checkpoint(), str(error)]
    """
    state, words = job.run(text).result
    assert state == "small"
    assert "allows 100000" in words
    assert not (kept / ".new").exists()


def test_killed_in_the_middle_of_a_save_nothing_is_lost(job: Job, kept: Path) -> None:
    assert job.run(SAVES.format(module="cumulus_job")).result == [0, False]
    killed = """
    import os, cumulus_job

    class Killer:
        def __reduce__(self):
            os.kill(os.getpid(), 9)

    def main():
        cumulus_job.save_checkpoint(Killer())
    """
    assert job.run(killed).error[0] == "Crashed"
    assert (kept / ".new").exists()
    assert job.run(SAVES.format(module="cumulus_job")).result == [1, False]


def test_a_job_that_keeps_nothing_is_told(job: Job) -> None:
    job.settings["CUMULUS_ATTEMPT"] = "1"
    kind, words = job.run(SAVES.format(module="cumulus_job")).error
    assert kind == "RuntimeError"
    assert "checkpoint.size is 0" in words


def test_the_checkpointer_of_old(job: Job, kept: Path) -> None:
    assert kept
    text = """
    from runtime import Checkpointer, list_checkpoints

    def main():
        ckpt = Checkpointer("model.pt")
        model, epoch = {"w": [0.0]}, 0
        if ckpt.exists():
            state = ckpt.load(model, None)
            model, epoch = state["model"], state["epoch"]
        model["w"].append(float(epoch))
        path = ckpt.save(model, None, epoch + 1, 5, extra={"loss": 0.5})
        steps = [ckpt.time_to_checkpoint(n, every_steps=2) for n in range(4)]
        found = list_checkpoints()
        return [model["w"], path == ckpt.path, steps, [(c["filename"], c["epoch"]) for c in found]]
    """
    assert job.run(text).result == [
        [0.0, 0.0],
        True,
        [False, False, True, False],
        [["model.pt", 1]],
    ]
    again = job.run(text).result
    assert again[0] == [0.0, 0.0, 1.0]
    assert again[3] == [["model.pt", 2], ["model.pt", 1]]


def test_sigusr1_does_not_end_a_job_that_asks(job: Job, kept: Path) -> None:
    assert kept
    job.code(
        """
        import sys, time
        from cumulus_job import save_checkpoint, should_pause

        def main():
            print("up", flush=True)
            while not should_pause():
                time.sleep(0.01)
            save_checkpoint("saved")
        """
    )
    process = job.start()
    assert process.stdout is not None
    before = process.stdout.readline()
    (job.job / "warning.json").write_text(json.dumps({"reason": "Drained"}))
    process.send_signal(10)
    assert finish(process, before).error[0] == "Paused"


def test_a_job_is_told_where_its_datasets_lie(job: Job) -> None:
    text = """
    from cumulus_job import dataset_dir

    def main():
        return dataset_dir("photos")
    """
    outside = job.run(text).result
    assert outside.endswith("/datasets/photos")
    job.settings |= {"CUMULUS_ATTEMPT": "1", "CUMULUS_DATASETS": json.dumps({"photos": "/data/p"})}
    assert job.run(text).result == "/data/p"
    job.settings["CUMULUS_DATASETS"] = json.dumps({"other": "/x"})
    assert "no dataset 'photos': it has ['other']" in job.run(text).error[1]


def test_a_job_is_told_where_to_leave_files(job: Job) -> None:
    text = """
    from cumulus_job import outputs_dir

    def main():
        return outputs_dir()
    """
    assert job.run(text).result.endswith("/results")
    job.settings["CUMULUS_ATTEMPT"] = "1"
    assert "its outputs.size is 0" in job.run(text).error[1]
    job.settings["CUMULUS_OUTPUTS"] = "/results"
    assert job.run(text).result == "/results"
