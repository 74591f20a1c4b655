// Catch2 2 defines itself in this file, 3 comes as a library; main is ours for both.
#define CATCH_CONFIG_RUNNER
#include "catch.h"

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
