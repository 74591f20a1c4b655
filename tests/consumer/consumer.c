/* A user's program in C: the header must be C, and the library linkable without a C++ compiler. */
#include <allnorm/allnorm_c.h>
#include <allnorm/version.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  allnorm_context_options options;
  allnorm_context* context = NULL;
  allnorm_fused_call call;
  allnorm_status status;
  int32_t count = 0;

  printf("allnorm %s from C\n", allnorm_version());
  if (strcmp(allnorm_version(), ALLNORM_VERSION_STRING) != 0) return 1;

  /* A mistake is an error with a text, with or without a GPU. */
  if (allnorm_fused_call_init(&call) != ALLNORM_OK) return 1;
  if (allnorm_fused_allreduce_add_rmsnorm_quant(NULL, &call, NULL) != ALLNORM_INVALID_ARGUMENT) return 1;
  printf("refused: %s\n", allnorm_last_error_message());

  if (allnorm_context_options_init(&options) != ALLNORM_OK) return 1;
  status = allnorm_context_create(&options, &context);
  if (status != ALLNORM_OK) {
    printf("no context (%s): %s\n", allnorm_status_name(status), allnorm_last_error_message());
    return context == NULL ? 0 : 1;
  }
  if (allnorm_context_device_count(context, &count) != ALLNORM_OK) return 1;
  printf("GPUs: %d\n", (int)count);
  allnorm_context_destroy(context);
  return 0;
}
