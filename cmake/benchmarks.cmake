# Benchmarks: run by hand on a machine with GPUs, never as tests.
add_executable(allnorm_latency ${PROJECT_SOURCE_DIR}/tests/benchmark/latency.cc)
target_link_libraries(allnorm_latency PRIVATE allnorm_static)
