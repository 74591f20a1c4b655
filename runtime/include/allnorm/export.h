// ALLNORM_EXPORT marks what liballnorm.so shows; everything else in it is hidden.
#ifndef ALLNORM_EXPORT_H_
#define ALLNORM_EXPORT_H_

#define ALLNORM_EXPORT __attribute__((visibility("default")))

/// For what is inside an exported class and is nobody else's business.
#define ALLNORM_HIDDEN __attribute__((visibility("hidden")))

#endif  // ALLNORM_EXPORT_H_
