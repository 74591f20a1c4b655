/* A user's program in C: the header must be C, and the library linkable without a C++ compiler. */
#include <allnorm/allnorm_c.h>
#include <allnorm/version.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  allnorm_context_options options;
  allnorm_context* context = NULL;
  allnorm_buffer* buffer = NULL;
  allnorm_fused_call call;
  allnorm_status status;
  int32_t count = 0;
  int32_t is_simulated = 0;
  char text[6] = "";

  printf("allnorm %s from C\n", allnorm_version());
  if (strcmp(allnorm_version(), ALLNORM_VERSION_STRING) != 0) return 1;

  /* A mistake is an error with a text, with or without a GPU. */
  if (allnorm_fused_call_init(&call) != ALLNORM_OK) return 1;
  if (allnorm_fused_allreduce_add_rmsnorm_quant(NULL, &call, NULL) != ALLNORM_INVALID_ARGUMENT) return 1;
  printf("refused: %s\n", allnorm_last_error_message());

  if (allnorm_context_options_init(&options) != ALLNORM_OK) return 1;
  options.device = "nothing";
  if (allnorm_context_create(&options, &context) != ALLNORM_INVALID_ARGUMENT || context != NULL) return 1;

  /* Without a GPU, a simulator stands in. */
  options.device = NULL;
  status = allnorm_context_create(&options, &context);
  if (status != ALLNORM_OK) {
    printf("no context (%s): %s\n", allnorm_status_name(status), allnorm_last_error_message());
    return 1;
  }
  if (allnorm_context_device_count(context, &count) != ALLNORM_OK) return 1;
  if (allnorm_context_is_simulated(context, &is_simulated) != ALLNORM_OK) return 1;
  printf("GPUs: %d%s\n", (int)count, is_simulated ? ", simulated" : "");

  status = allnorm_buffer_create(context, 0, sizeof(text), &buffer);
  if (status == ALLNORM_UNSUPPORTED) { /* A GPU that has no kernels. */
    printf("%s\n", allnorm_last_error_message());
    allnorm_context_destroy(context);
    return 0;
  }
  if (status != ALLNORM_OK) return 1;
  if (allnorm_buffer_write(buffer, 0, "hello", sizeof(text)) != ALLNORM_OK) return 1;
  if (allnorm_buffer_read(buffer, 0, text, sizeof(text)) != ALLNORM_OK) return 1;
  if (strcmp(text, "hello") != 0) return 1;
  allnorm_buffer_destroy(buffer);
  allnorm_context_destroy(context);
  return 0;
}
