# <build>/generated/allnorm/version.h, from the project's version.
set(ALLNORM_GENERATED ${PROJECT_BINARY_DIR}/generated)
configure_file(${PROJECT_SOURCE_DIR}/cmake/version.h.in ${ALLNORM_GENERATED}/allnorm/version.h @ONLY)
