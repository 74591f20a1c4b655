/* A user's program in C: the header must be C, and the library linkable without a C++ compiler. */
#include <allnorm/allnorm_c.h>
#include <allnorm/version.h>
#include <stdio.h>

int main(void) {
  printf("allnorm %s from C\n", ALLNORM_VERSION_STRING);
  return 0;
}
