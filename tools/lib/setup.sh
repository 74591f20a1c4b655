# Sourced by the scripts in tools/: installs what is missing, finds CUDA, builds. Prints what it installs, and nothing
# when there is nothing to do.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "$@"; exit 1; }

# `--help` prints the comment at the top of a script.
print_help() { sed -n '2,/^[^#]/{/^#/s/^# \?//p}' "$1"; }

# Debian packages, each with a command or file that shows that what it brings is there.
build_needs=(
  g++:g++ cmake:cmake ninja-build:ninja pkg-config:pkg-config
  libfmt-dev:/usr/include/fmt/format.h
  libspdlog-dev:/usr/include/spdlog/spdlog.h
  nlohmann-json3-dev:/usr/include/nlohmann/json.hpp
  catch2:/usr/include/catch2
  libcli11-dev:/usr/include/CLI/CLI.hpp
  libboost-context-dev:/usr/include/boost/context/fiber.hpp
  libssl-dev:/usr/include/openssl/evp.h
)
# For allnorm::mpi and its tests, which are skipped without. Whoever has another MPI keeps it.
mpi_needs=(
  openmpi-bin:mpiexec
  "libopenmpi-dev:/usr/include/$(uname -m)-linux-gnu/mpi/mpi.h"
)
venv_needs=(
  python3-venv:/usr/share/doc/python3-venv
  ca-certificates:/etc/ssl/certs/ca-certificates.crt
)

# install_missing PACKAGE:PROBE...: apt-get, as root or by a sudo that asks nothing; else says what to run, and ends.
install_missing() {
  local need missing=()
  for need in "$@"; do
    local probe=${need#*:}
    case $probe in
      /*) [ -e "$probe" ] ;;
      *) command -v "$probe" >/dev/null ;;
    esac || missing+=("${need%%:*}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  # Elsewhere than on Debian, CMake looks for the libraries and names what it does not find.
  if ! command -v apt-get >/dev/null; then
    say "not a Debian system; these packages or their like may be missing: ${missing[*]}"
    return 0
  fi

  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      die "these packages are missing; install them with
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    sudo=(sudo -n)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq </dev/null
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# find_cuda ROOT...: sets cuda_root and nvrtc to the first root that has the headers and the NVRTC that we need.
find_cuda() {
  local candidate library
  for candidate in "$@"; do
    [ -f "$candidate/include/cuda.h" ] && [ -f "$candidate/include/nvrtc.h" ] &&
      [ -f "$candidate/include/cuda_fp8.h" ] || continue
    for library in "$candidate"/{lib64,lib,targets/x86_64-linux/lib}/libnvrtc.so.13; do
      if [ -f "$library" ]; then
        cuda_root=$candidate
        nvrtc=$library
        return 0
      fi
    done
  done
  return 1
}

# The toolkit of this machine, or NVIDIA's pip packages in build/cuda-venv.
# ALLNORM_IGNORE_TOOLKIT=1 acts as if there were no toolkit.
setup_cuda() {
  local nvcc roots=()
  nvcc=$(command -v nvcc || true)
  if [ "${ALLNORM_IGNORE_TOOLKIT:-0}" != 1 ]; then
    roots=(${CUDAToolkit_ROOT:+"$CUDAToolkit_ROOT"} ${CUDA_HOME:+"$CUDA_HOME"}
      ${nvcc:+"$(dirname "$(dirname "$(readlink -f "$nvcc")")")"} /usr/local/cuda)
  fi
  local venv=$root/build/cuda-venv
  if ! find_cuda "${roots[@]}" "$venv"/lib/python3*/site-packages/nvidia/cu13; then
    install_missing "${venv_needs[@]}"
    say "no CUDA 13 toolkit found: installing NVIDIA's pip packages into build/cuda-venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
      nvidia-cuda-runtime==13.0.* nvidia-cuda-nvrtc==13.0.* nvidia-cuda-crt==13.0.* nvidia-cuda-cccl==13.0.* </dev/null
    find_cuda "$venv"/lib/python3*/site-packages/nvidia/cu13 || die "the pip packages hold no CUDA headers and NVRTC"
  fi
  # The library looks here first.
  export ALLNORM_NVRTC=${ALLNORM_NVRTC:-$nvrtc}
}

# build PRESET [TARGET...]: everything, or the targets.
build() {
  local preset=$1 target targets=()
  shift
  for target in "$@"; do targets+=(--target "$target"); done
  configure "$preset"
  cmake --build --preset "$preset" "${targets[@]}"
}

configure() {
  install_missing "${build_needs[@]}"
  setup_cuda
  cmake --preset "$1" -DCUDAToolkit_ROOT="$cuda_root" --log-level=WARNING
}
