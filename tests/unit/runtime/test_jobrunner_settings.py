"""`JR_*` variables and the block `jobrunner:` in the controller's configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.api.auth import Role
from cumulus.controller.config import load_config
from cumulus.controller.jobrunner_settings import take_over
from cumulus.controller.security.setup import Security
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import ValidationError

TOKEN = "super-secret-token"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUMULUS_DATA_DIR", str(tmp_path / "data"))


def test_every_variable_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "JR_AUTH_TOKEN": TOKEN,
        "JR_GPU_TYPE": "nvidia",
        "JR_MAX_TIME": "1-00:00:00",
        "JR_B2_ENABLE": "1",
        "JR_B2_BUCKET": "my-bucket",
        "JR_B2_MOUNT": "/mnt/cloud",
    }.items():
        monkeypatch.setenv(name, value)
    config = load_config(None)
    known = config.jobrunner
    assert (known.gpu_type, known.max_time, known.mount) == ("nvidia", 86400, "/mnt/cloud")
    assert known.import_from == "s3://my-bucket/"
    (bucket,) = config.datasets.buckets
    assert (bucket.bucket, bucket.endpoint.startswith("https://s3.")) == ("my-bucket", True)
    assert TOKEN not in repr(config)
    assert known.secret() == TOKEN


def test_a_mounted_folder_is_a_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JR_B2_MOUNT", str(tmp_path))
    config = load_config(None)
    assert config.jobrunner.import_from == "mount://b2/"
    assert [root.path for root in config.datasets.roots] == [tmp_path]


def test_the_root_of_that_system_is_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JR_ROOT", "/opt/jobrunner")
    assert load_config(None).data_dir != Path("/opt/jobrunner")  # ours is given, too
    monkeypatch.delenv("CUMULUS_DATA_DIR")
    assert load_config(None).data_dir == Path("/opt/jobrunner")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jobrunner: {token: super-secret-token}", "tokenFile"),
        ("jobrunner: {maxTime: soon}", "HH:MM:SS"),
        ("jobrunner: {importFrom: /etc}", "jobrunner.importFrom"),
        ("jobrunner: 7", "jobrunner"),
    ],
)
def test_what_is_wrong_with_the_block(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "controller.yaml"
    file.write_text(text)
    with pytest.raises(ValidationError, match=words):
        load_config(file)


def test_a_bucket_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JR_B2_ENABLE", "1")
    with pytest.raises(ValidationError, match="JR_B2_BUCKET"):
        load_config(None)


def test_the_token_submits_and_an_admin_has_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JR_AUTH_TOKEN", TOKEN)
    config = load_config(None)
    config.data_dir.mkdir()
    store = Store.open(None)
    security = Security(config, store, {}, lambda: None, float)  # type: ignore[arg-type, return-value]
    assert security.tokens is not None
    holder = security.tokens.holder(f"Bearer {TOKEN}")
    assert (holder.role, holder.viewer.owner) == (Role.SUBMITTER, "jobrunner")
    admin = (config.data_dir / "admin.token").read_text().strip()
    assert security.tokens.holder(f"Bearer {admin}").role is Role.ADMIN
    file = tmp_path / "token"
    file.write_text("short\n")
    short = config.jobrunner.model_copy(
        update={"token_file": file, "token": type(config.jobrunner.token)("")}
    )
    with pytest.raises(ValidationError, match="at least 16") as caught:
        short.secret()
    assert "short\n" not in str(caught.value)


def test_credentials_are_where_s3_looks_for_them() -> None:
    given = {"JR_B2_ENABLE": "1", "JR_B2_KEY_ID": "id", "JR_B2_APP_KEY": "key", "JR_NUM_GPUS": "2"}
    assert take_over(given) == ["JR_NUM_GPUS"]
    assert (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]) == ("id", "key")
    off = {"JR_B2_KEY_ID": "id"}
    assert take_over(off) == []
    assert "AWS_ACCESS_KEY_ID" not in off
