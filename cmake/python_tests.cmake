# The wheel, with library and command of this build, installed and tested in a virtual environment of its own. pip takes
# what that needs from the package index.
if(NOT ALLNORM_SANITIZE AND ALLNORM_TOOLS AND NOT CMAKE_CROSSCOMPILING)
  add_test(NAME python.wheel COMMAND bash ${PROJECT_SOURCE_DIR}/tools/test-wheel ${PROJECT_BINARY_DIR})
  # Begun early: pip waits for the network.
  set_tests_properties(python.wheel PROPERTIES LABELS python TIMEOUT 600 COST 100 SKIP_RETURN_CODE 77)
  if(ALLNORM_VENV_NVRTC)
    set_property(TEST python.wheel PROPERTY ENVIRONMENT "ALLNORM_NVRTC=${ALLNORM_VENV_NVRTC}")
  endif()
endif()
