# Names and arguments that the scripts of this folder share. Source it.
# shellcheck shell=bash
#
# An image is called [PREFIX/]cloudai-KIND-intensive:TAG. TAG is a workload's number, which it runs
# unless it is told another, or `latest`, which is number 1.

KINDS=()
PREFIX=${DOCKER_USERNAME:-}
EXTRA_TAG=''
WHEELS=${PIP_FIND_LINKS:-}

say() { echo "workloads: $*" >&2; }
die() { say "$*"; exit 1; }

usage() {
    cat <<USAGE
usage: $(basename "$0") [--prefix PREFIX] [--tag TAG] [--wheels FOLDER] [io] [cpu] [gpu]

  --prefix  what stands before the names: a user or project, with its registry where that is not
            the engine's own default, as in HOST:PORT/PROJECT (DOCKER_USERNAME)
  --tag     one tag more for what is called latest
  --wheels  a folder of wheels that pip prefers, such as PyTorch for the CPU alone; only for gpu
            (PIP_FIND_LINKS where that is a folder)
  io, cpu, gpu  these kinds; without any all three
USAGE
}

parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix) PREFIX=${2:?--prefix needs a name}; shift 2 ;;
            --tag) EXTRA_TAG=${2:?--tag needs a tag}; shift 2 ;;
            --wheels) WHEELS=${2:?--wheels needs a folder}
                [ -d "$WHEELS" ] || die "--wheels: '$WHEELS' is no folder"
                shift 2 ;;
            io | cpu | gpu) KINDS+=("$1"); shift ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; die "unknown argument '$1'" ;;
        esac
    done
    [ ${#KINDS[@]} -gt 0 ] || KINDS=(io cpu gpu)
    PREFIX=${PREFIX%/}
    [[ -z $PREFIX || $PREFIX =~ ^[a-z0-9]+([._:/-]+[a-z0-9]+)*$ ]] ||
        die "--prefix '$PREFIX' is no name of images: expected lower case, digits and . _ - : /"
    [[ -z $EXTRA_TAG || $EXTRA_TAG =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] ||
        die "--tag '$EXTRA_TAG' is no tag: expected letters, digits and . _ -"
    command -v docker >/dev/null || die "docker is missing: apt-get install docker.io"
    docker version >/dev/null 2>&1 ||
        die "no Docker Engine answers: is dockerd running, and may you use it?"
}

# repository KIND: its images' name without the tag.
repository() { echo "${PREFIX:+$PREFIX/}cloudai-$1-intensive"; }

# numbers KIND: of its workloads.
numbers() { (cd "$1" && printf '%s\n' "$1"_process_*.py | grep -oE '[0-9]+' | sort -n); }

# tags KIND: all that its images have.
tags() { numbers "$1"; echo latest; [ -z "$EXTRA_TAG" ] || echo "$EXTRA_TAG"; }
