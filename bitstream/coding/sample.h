/* Names of the sample type for the *_template.h headers, which are compiled once for planes of
 * uint8_t and once for planes of uint16_t. Included by them with SAMPLE_SIZE set to 1 or 2; meant
 * to be included repeatedly. */
#undef SAMPLE
#undef FN
#undef DEPTH

#if SAMPLE_SIZE == 1
#define SAMPLE uint8_t
#define FN(name) name##_8
#define DEPTH(depth) ((void)(depth), 8) // a constant for the compiler
#elif SAMPLE_SIZE == 2
#define SAMPLE uint16_t
#define FN(name) name##_16
#define DEPTH(depth) (depth)
#else
#error "SAMPLE_SIZE is 1 or 2"
#endif
