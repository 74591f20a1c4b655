# Toolchain: compiles for 64-bit Arm on another machine, and runs what it has built in QEMU. For the preset `aarch64`.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# With Arm's C and C++ libraries, as Debian's cross compiler brings them. QEMU notes down each page that is reserved,
# and forgets none: the TiB of addresses of a simulated machine takes gigabytes. Within this limit it reserves 8 GiB.
set(CMAKE_CROSSCOMPILING_EMULATOR /usr/bin/prlimit --as=68719476736 /usr/bin/qemu-aarch64 -L /usr/aarch64-linux-gnu)

# The other libraries: tools/prove-long aarch64 puts them there. OpenSSL has headers for each kind of machine.
set(allnorm_aarch64_libraries ${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-root/usr)
list(PREPEND CMAKE_PREFIX_PATH ${allnorm_aarch64_libraries})
set(CMAKE_CXX_FLAGS_INIT "-isystem ${allnorm_aarch64_libraries}/include/aarch64-linux-gnu")
