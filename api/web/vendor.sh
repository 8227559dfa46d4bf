#!/usr/bin/env bash
# Fetch the dashboard's libraries from npm anew, exactly as static/vendor/vendored.json says, and
# refuse whatever has another hash. To take a newer version, change it there, run this with --pin,
# and look at what changed. Arguments: none, or --pin to write down the hashes that were found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/static/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "${1:-}" "$work" <<'PYTHON'
import hashlib, json, pathlib, subprocess, sys, tarfile

pin, work = sys.argv[1] == "--pin", pathlib.Path(sys.argv[2])
listed = pathlib.Path("vendored.json")
packages = json.loads(listed.read_text())
for package in packages:
    name = f"{package['package']}@{package['version']}"
    packed = subprocess.run(
        ["npm", "pack", "--silent", name], cwd=work, check=True, capture_output=True, text=True
    )
    archive = work / packed.stdout.split()[-1]
    with tarfile.open(archive) as content:
        for file in package["files"]:
            data = content.extractfile(f"package/{file['from']}").read()
            found = hashlib.sha256(data).hexdigest()
            if pin:
                file["sha256"] = found
            elif found != file["sha256"]:
                sys.exit(f"{name}: {file['from']} has sha256 {found}, expected {file['sha256']}")
            pathlib.Path(file["as"]).write_bytes(data)
    print(name)
if pin:
    listed.write_text(json.dumps(packages, indent=2) + "\n")
PYTHON
