# Finds the CUDA headers. Nothing of CUDA is linked: the driver and NVRTC are opened at run time.
#
# Looked at, in this order: CUDAToolkit_ROOT, CUDA_HOME, nvcc's place on PATH, /usr/local/cuda, and NVIDIA's pip packages
# in build/cuda-venv, which tools/run-tests installs where there is no toolkit.
set(allnorm_cuda_hint "(CUDA 13 toolkit: set CUDAToolkit_ROOT or CUDA_HOME; or run tools/run-tests)")

set(allnorm_cuda_roots "")
if(NOT "$ENV{ALLNORM_IGNORE_TOOLKIT}")
  list(APPEND allnorm_cuda_roots ${CUDAToolkit_ROOT} $ENV{CUDAToolkit_ROOT} $ENV{CUDA_HOME})
  find_program(ALLNORM_NVCC nvcc)
  mark_as_advanced(ALLNORM_NVCC)
  if(ALLNORM_NVCC)
    file(REAL_PATH ${ALLNORM_NVCC} nvcc)
    cmake_path(GET nvcc PARENT_PATH nvcc_folder)
    cmake_path(GET nvcc_folder PARENT_PATH nvcc_root)
    list(APPEND allnorm_cuda_roots ${nvcc_root})
  endif()
  list(APPEND allnorm_cuda_roots /usr/local/cuda)
endif()
file(GLOB allnorm_cuda_venv ${PROJECT_SOURCE_DIR}/build/cuda-venv/lib/python*/site-packages/nvidia/cu13)
list(APPEND allnorm_cuda_roots ${allnorm_cuda_venv})

find_path(ALLNORM_CUDA_H_INCLUDE cuda.h HINTS ${allnorm_cuda_roots} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_path(ALLNORM_NVRTC_H_INCLUDE nvrtc.h HINTS ${allnorm_cuda_roots} PATH_SUFFIXES include NO_DEFAULT_PATH)

# cccl: cuda_fp16.h includes <nv/target>.
set(ALLNORM_CUDA_INCLUDES ${ALLNORM_CUDA_H_INCLUDE} ${ALLNORM_NVRTC_H_INCLUDE})
if(EXISTS ${ALLNORM_CUDA_H_INCLUDE}/cccl)
  list(APPEND ALLNORM_CUDA_INCLUDES ${ALLNORM_CUDA_H_INCLUDE}/cccl)
endif()
list(REMOVE_DUPLICATES ALLNORM_CUDA_INCLUDES)

# Tests find the NVRTC of the pip packages by this; any other NVRTC is found as the library finds it for its users.
file(GLOB ALLNORM_VENV_NVRTC ${PROJECT_SOURCE_DIR}/build/cuda-venv/lib/python*/site-packages/nvidia/cu13/lib/libnvrtc.so.13)
