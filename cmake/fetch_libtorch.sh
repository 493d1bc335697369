# shellcheck shell=bash disable=SC2154
# Fetches LibTorch, and the wheel with the digits of configs/digits, into the cache; sourced by bootstrap.sh. Needs the variable `cache` and the functions `say` and `die`.
#
# LibTorch is the C++ half of PyTorch's wheel; a wheel is a zip file. Its libraries look for CUDA's in
# ../../nvidia/<name>/lib, relative to themselves, so the cache holds
#   libtorch-<version>/torch/{include,lib}      what is needed of the wheel
#   libtorch-<version>/nvidia/cu13/lib          links to the CUDA toolkit's libraries where there is one
#   libtorch-<version>/nvidia/*/lib             from small wheels, what the toolkit lacks
#   wheels/                                     downloads; a partial one is NAME.part
torch_version=2.11.0
site=$cache/libtorch-$torch_version

# package | version | wheel | sha256
wheels="
torch|2.11.0|torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl|7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a
nvidia-cuda-runtime|13.0.96|nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl|7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti|13.0.85|nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl|4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8
nvidia-cudnn-cu13|9.19.0.56|nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl|d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf
nvidia-nccl-cu13|2.28.9|nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl|e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42
nvidia-cusparselt-cu13|0.8.0|nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl|25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd
nvidia-nvshmem-cu13|3.4.5|nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl|290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80
nvidia-cufile|1.15.1.6|nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl|08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44
scikit-learn|1.7.2|scikit_learn-1.7.2-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl|89877e19a80c7b11a2891a27c21c4894fb18e2c2e077815bcade10d34287b20d
"

# The arguments that make pip choose the wheels above, whatever Python it runs under.
pip_selection="--no-deps --only-binary=:all: --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64
  --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_18_x86_64
  --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64"

has_hash() { [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status; }

# wheel_url REQUIREMENT: where pip would download it from, by pip's own configuration. Empty where pip cannot say.
wheel_url() {
  # shellcheck disable=SC2086
  python3 -m pip install --quiet --dry-run --report - --ignore-installed --target "$cache/none" $pip_selection "$1" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["install"][0]["download_info"]["url"])' 2> /dev/null || true
}

# download URL FILE: goes on where FILE ends. A server that refuses to (FILE is too long, so it is damaged) is asked anew.
download() {
  local status=0
  local options=(--fail --location --silent --show-error --retry 5 --retry-connrefused ${PIP_CERT:+--cacert "$PIP_CERT"})
  curl "${options[@]}" --continue-at - --output "$2" "$1" || status=$?
  if [ $status = 22 ] && [ -e "$2" ]; then
    curl "${options[@]}" --output "$2" "$1"
  else
    return $status
  fi
}

# fetch_wheel PACKAGE: sets `wheel` to its file. An interrupted download goes on where it stopped.
fetch_wheel() {
  local package version file hash url
  IFS='|' read -r package version file hash <<< "$(grep "^$1|" <<< "$wheels")"
  wheel=$cache/wheels/$file
  [ -f "$wheel" ] && return
  mkdir -p "$cache/wheels"
  if ! has_hash "$wheel.part" "$hash"; then
    say "downloading $package $version"
    url=$(wheel_url "$package==$version")
    [ -n "$url" ] || die "pip does not find $package $version for Linux x86-64 in its package index." \
      "See what it says: python3 -m pip download --no-deps $package==$version" \
      "or name an existing LibTorch folder: TRELLIS_TORCH=FOLDER ./bootstrap.sh build"
    download "$url" "$wheel.part" || die "the download of $file broke off; run again and it goes on from there"
    if ! has_hash "$wheel.part" "$hash"; then
      rm -f "$wheel.part"
      die "$file has another SHA-256 than the $hash expected; it was removed. Run again to download it anew"
    fi
  fi
  mv "$wheel.part" "$wheel"
}

# unpack_wheel PACKAGE PATTERN...
unpack_wheel() {
  fetch_wheel "$1"
  shift
  unzip -q -o "$wheel" "$@" -d "$site" || die "could not unpack $wheel into $site (is the disk full?)"
}

# toolkit: the folder of the CUDA toolkit, or nothing.
toolkit() {
  local nvcc folder
  nvcc=$(command -v nvcc || true)
  for folder in "${CUDA_HOME:-}" "${CUDA_PATH:-}" "${nvcc%/bin/nvcc}" /usr/local/cuda; do
    if [ -n "$folder" ] && [ -x "$folder/bin/nvcc" ]; then
      echo "$folder"
      return
    fi
  done
}

# toolkit_fits: whether there is a toolkit of the release that LibTorch was built with.
toolkit_fits() {
  local folder
  folder=$(toolkit)
  [ -n "$folder" ] && "$folder/bin/nvcc" --version | grep 'release 13\.' > /dev/null
}

# Links of a toolkit's libraries, one by one: a wheel unpacked beside them never writes into the toolkit.
link_toolkit() {
  local folder library
  toolkit_fits || return 0
  folder=$(toolkit)
  mkdir -p "$site/nvidia/cu13/lib"
  for library in "$folder"/lib64/*.so.* "$folder"/extras/CUPTI/lib64/*.so.*; do
    [ ! -e "$library" ] || ln -sfn "$(readlink -f "$library")" "$site/nvidia/cu13/lib/${library##*/}"
  done
}

# need_library FOLDER LIBRARY PACKAGE: from the toolkit's links, else from the package's wheel.
need_library() {
  [ ! -e "$site/nvidia/cu13/lib/$2" ] && [ ! -e "$site/nvidia/$1/lib/$2" ] || return 0
  rm -f "$site/nvidia/cu13/lib/$2"  # a link whose toolkit has gone; unzip would write through it
  unpack_wheel "$3" "nvidia/$1/lib/*.so.*"
}

# fetch_libtorch cpu|cuda: what that half needs; nothing where it is there already.
fetch_libtorch() {
  mkdir -p "$cache"
  exec 9> "$cache/lock"
  flock 9  # another clone may be doing the same
  if [ ! -e "$site/.complete-cpu" ]; then
    unpack_wheel torch 'torch/include/*' torch/lib/libc10.so torch/lib/libtorch_cpu.so torch/lib/libgomp.so.1 '*/licenses/*'
    touch "$site/.complete-cpu"
  fi
  link_toolkit
  need_library cu13 libcudart.so.13 nvidia-cuda-runtime
  need_library cu13 libcupti.so.13 nvidia-cuda-cupti
  if [ "$1" = cuda ]; then
    if [ ! -e "$site/.complete-cuda" ]; then
      unpack_wheel torch torch/lib/libc10_cuda.so 'torch/lib/libtorch_cuda*.so' torch/lib/libtorch_nvshmem.so torch/lib/libcaffe2_nvrtc.so
      touch "$site/.complete-cuda"
    fi
    need_library cudnn libcudnn.so.9 nvidia-cudnn-cu13
    need_library nccl libnccl.so.2 nvidia-nccl-cu13
    need_library cusparselt libcusparseLt.so.0 nvidia-cusparselt-cu13
    need_library nvshmem libnvshmem_host.so.3 nvidia-nvshmem-cu13
    need_library cu13 libcufile.so.0 nvidia-cufile
    [ -e "$(toolkit)/include/nccl.h" ] || [ -e "$site/nvidia/nccl/include/nccl.h" ] ||
      unpack_wheel nvidia-nccl-cu13 'nvidia/nccl/include/*'
  fi
  exec 9>&-
}
