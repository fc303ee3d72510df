/* A log-linear histogram of nanoseconds: 128 steps an octave, so every answer is within 0.8 % of the sample it stands for. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H
#include <stdint.h>

enum { HISTOGRAM_BITS = 7, HISTOGRAM_STEPS = 1 << HISTOGRAM_BITS, HISTOGRAM_CELLS = (64 - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS };

struct histogram {
  uint64_t count, sum, min, max;
  uint64_t cells[HISTOGRAM_CELLS];
};

void histogram_add(struct histogram *h, uint64_t nanoseconds);
/* The smallest value that at least `share` (0..1) of the samples do not exceed; 0 without samples. */
uint64_t histogram_at(const struct histogram *h, double share);
#endif
