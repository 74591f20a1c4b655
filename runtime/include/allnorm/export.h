// ALLNORM_EXPORT marks what liballnorm.so shows; everything else in it is hidden.
#ifndef ALLNORM_EXPORT_H_
#define ALLNORM_EXPORT_H_

#define ALLNORM_EXPORT __attribute__((visibility("default")))

#endif  // ALLNORM_EXPORT_H_
