# Finds the CUDA headers. Nothing of CUDA is linked: the driver and NVRTC are opened at run time.
#
# Looked at, in this order: CUDAToolkit_ROOT, CUDA_HOME, nvcc's place on PATH, /usr/local/cuda, and NVIDIA's pip packages
# in build/cuda-venv, which tools/run-tests installs where there is no toolkit. Nothing is cached (only what the caller
# gave): another CUDAToolkit_ROOT works in the same build folder.
set(allnorm_cuda_hint "(CUDA 13 toolkit: set CUDAToolkit_ROOT or CUDA_HOME; or run tools/run-tests)")
set(CUDAToolkit_ROOT "" CACHE PATH "The CUDA toolkit; empty: look for it")

set(allnorm_cuda_roots ${CUDAToolkit_ROOT} $ENV{CUDAToolkit_ROOT} $ENV{CUDA_HOME})
find_program(allnorm_nvcc nvcc NO_CACHE)
if(allnorm_nvcc)
  file(REAL_PATH ${allnorm_nvcc} allnorm_nvcc)
  cmake_path(GET allnorm_nvcc PARENT_PATH nvcc_folder)
  cmake_path(GET nvcc_folder PARENT_PATH nvcc_root)
  list(APPEND allnorm_cuda_roots ${nvcc_root})
endif()
file(GLOB allnorm_cuda_venv ${PROJECT_SOURCE_DIR}/build/cuda-venv/lib/python*/site-packages/nvidia/cu13)
list(APPEND allnorm_cuda_roots /usr/local/cuda ${allnorm_cuda_venv})

find_path(ALLNORM_CUDA_INCLUDE NAMES cuda.h HINTS ${allnorm_cuda_roots} PATH_SUFFIXES include
          NO_DEFAULT_PATH NO_CACHE)
find_path(ALLNORM_NVRTC_INCLUDE NAMES nvrtc.h HINTS ${ALLNORM_CUDA_INCLUDE} ${allnorm_cuda_roots} PATH_SUFFIXES include
          NO_DEFAULT_PATH NO_CACHE)

# cccl: cuda_fp16.h includes <nv/target>.
set(ALLNORM_CUDA_INCLUDES ${ALLNORM_CUDA_INCLUDE} ${ALLNORM_NVRTC_INCLUDE})
if(EXISTS ${ALLNORM_CUDA_INCLUDE}/cccl)
  list(APPEND ALLNORM_CUDA_INCLUDES ${ALLNORM_CUDA_INCLUDE}/cccl)
endif()
list(REMOVE_DUPLICATES ALLNORM_CUDA_INCLUDES)

# The pip packages' NVRTC lies where nobody looks, so our tests are told; any other is found as users' programs find it.
if(ALLNORM_CUDA_INCLUDE MATCHES "/cuda-venv/" AND NOT CMAKE_CROSSCOMPILING)
  file(REAL_PATH ${ALLNORM_CUDA_INCLUDE}/../lib/libnvrtc.so.13 ALLNORM_VENV_NVRTC)
endif()
