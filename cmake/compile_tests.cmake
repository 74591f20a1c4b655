# Kernels compile for every architecture, without a GPU: a sample in ctest, all of them by tools/prove-long.
allnorm_add_test(compile.sample allnorm_compile_times --sample 48)
set_tests_properties(compile.sample PROPERTIES LABELS compile TIMEOUT ${ALLNORM_TEST_SECONDS})
# No kernel that AUTO can choose needs local memory: a sample here, all of them by tools/prove-long.
allnorm_add_test(compile.resources allnorm_resources --sample 60)
set_tests_properties(compile.resources PROPERTIES LABELS compile TIMEOUT ${ALLNORM_TEST_SECONDS})
# Nor do lean kernels, which have no register to spare.
allnorm_add_test(compile.lean_resources allnorm_resources --lean --sample 40)
set_tests_properties(compile.lean_resources PROPERTIES LABELS compile TIMEOUT ${ALLNORM_TEST_SECONDS})
