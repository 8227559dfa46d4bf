"""What each command looks like in use, shown by its --help. PURE.

`tests/unit/sdk/test_help.py` sees to it that every command has examples and that they parse.
"""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "apply": (
        "cumulusctl apply job.yaml",
        "cumulusctl apply jobs/ --wait",
        "cumulusctl apply jobs/ --prune -l team=vision",
        "cumulusctl apply - < job.yaml",
    ),
    "diff": ("cumulusctl diff jobs/", "cumulusctl diff jobs/ --prune -l team=vision"),
    "plan": ("cumulusctl plan jobs/", "cumulusctl plan train.yaml -o json"),
    "run": (
        "cumulusctl run ./train --gpu 0.5 --duration 2h -r torch",
        "cumulusctl run ./train --arg epochs=3 --arg name=first -r ./train/pyproject.toml",
        "cumulusctl run --template echo_params -p message=hello -p number=3",
    ),
    "get": (
        "cumulusctl get jobs",
        "cumulusctl get jobs -l team=vision --phase Active -o wide",
        "cumulusctl get job train -o jsonpath={.status.phase}",
        "cumulusctl get workers --watch",
    ),
    "describe": ("cumulusctl describe job train", "cumulusctl describe worker gpu-1"),
    "why": ("cumulusctl why train",),
    "pause": ("cumulusctl pause train", "cumulusctl pause train other --wait"),
    "resume": ("cumulusctl resume train",),
    "checkpoints": ("cumulusctl checkpoints train",),
    "outputs ls": (
        "cumulusctl outputs ls train",
        "cumulusctl outputs ls --experiment night-3 --json",
    ),
    "outputs get": (
        "cumulusctl outputs get train",
        "cumulusctl outputs get train weights/model.pth -o model.pth",
        "cumulusctl outputs get train metrics.json -o -",
    ),
    "datasets put": (
        "cumulusctl datasets put photos/ --pin",
        "cumulusctl datasets put table.csv --name prices --replace",
        "cumulusctl datasets put arrays.zip --format file",
    ),
    "datasets import": (
        "cumulusctl datasets import s3://research/public/photos.tar.gz",
        "cumulusctl datasets import mount://shared/speech --name speech",
    ),
    "datasets ls": ("cumulusctl datasets ls", "cumulusctl datasets ls -o wide"),
    "datasets get": ("cumulusctl datasets get photos",),
    "datasets pin": ("cumulusctl datasets pin photos",),
    "datasets unpin": ("cumulusctl datasets unpin photos",),
    "datasets rm": ("cumulusctl datasets rm photos prices",),
    "datasets download": (
        "cumulusctl datasets download photos",
        "cumulusctl datasets download prices -o - > prices.csv",
    ),
    "events": (
        "cumulusctl events",
        "cumulusctl events train --since 1h",
        "cumulusctl events --watch --type Placed,Retrying,WorkerLost",
        "cumulusctl events --warnings -o json",
    ),
    "top": ("cumulusctl top", "cumulusctl top workers --watch"),
    "logs": (
        "cumulusctl logs -f train",
        "cumulusctl logs train --tail 100 --timestamps",
        "cumulusctl logs train --since 10m",
        "cumulusctl logs train --previous",
    ),
    "wait": (
        "cumulusctl wait train",
        "cumulusctl wait train --for phase=Running --timeout 5m",
        "cumulusctl wait worker/gpu-1 --for condition=Ready",
    ),
    "extend": ("cumulusctl extend train 30m",),
    "cancel": ("cumulusctl cancel train",),
    "delete": (
        "cumulusctl delete train --wait",
        "cumulusctl delete -f jobs/",
        "cumulusctl delete template/mine",
    ),
    "cordon": ("cumulusctl cordon gpu-1",),
    "uncordon": ("cumulusctl uncordon gpu-1",),
    "drain": ("cumulusctl drain gpu-1 --wait --timeout 10m",),
    "fence": ("cumulusctl fence gpu-1 --yes",),
    "unfence": ("cumulusctl unfence gpu-1",),
    "remove": ("cumulusctl remove worker gpu-1",),
    "set": (
        "cumulusctl set worker gpu-1 --available-until 18h",
        "cumulusctl set worker gpu-1 --available-until 2026-12-01T10:00:00Z",
    ),
    "explain": (
        "cumulusctl explain job.spec.gpu",
        "cumulusctl explain job.spec.retry.on",
        "cumulusctl explain worker --recursive",
    ),
    "schema": ("cumulusctl schema job > job.schema.json",),
    "config get-contexts": ("cumulusctl config get-contexts",),
    "config current-context": ("cumulusctl config current-context",),
    "config use-context": ("cumulusctl config use-context lab",),
    "config set-context": (
        "cumulusctl config set-context lab --server https://gpu.example.org:50051",
        "cumulusctl config set-context lab --token-file lab.token --ca-file lab.pem",
    ),
    "config delete-context": ("cumulusctl config delete-context lab",),
    "info": ("cumulusctl info", "cumulusctl --context lab info"),
    "token create": (
        "cumulusctl token create",
        "cumulusctl token create --ttl 30m --worker gpu-1",
    ),
    "auth token create": (
        "cumulusctl auth token create alice --role submitter --ttl 90d --out alice.token",
        "cumulusctl auth token create dashboard --role viewer > dashboard.token",
        "cumulusctl auth token create ci --project vision --max-running 4 --gpu-hours 2.5/day",
    ),
    "auth token list": ("cumulusctl auth token list",),
    "auth token revoke": ("cumulusctl auth token revoke 3f2a9c01b7d4e586",),
    "auth quota": (
        "cumulusctl auth quota",
        "cumulusctl auth quota vision --gpu-hours 10 --dataset-bytes 50Gi",
        "cumulusctl auth quota vision --max-running none",
    ),
    "audit": (
        "cumulusctl audit --outcome refused --since 1h",
        "cumulusctl audit --who alice --method Delete -o json",
    ),
    "auth whoami": ("cumulusctl auth whoami", "cumulusctl --token-file alice.token auth whoami"),
    "version": ("cumulusctl version",),
}
"""Words of the command → lines as they are typed."""
