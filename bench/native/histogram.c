#include "histogram.h"

static unsigned cell_of(uint64_t value) {
  if (value < HISTOGRAM_STEPS) return (unsigned)value;
  unsigned octave = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
  return (octave << HISTOGRAM_BITS) + (unsigned)(value >> octave);
}

/* The middle of a cell: the error is at most half a step. */
static uint64_t middle_of(unsigned cell) {
  if (cell < 2 * HISTOGRAM_STEPS) return cell;
  unsigned octave = (cell >> HISTOGRAM_BITS) - 1;
  uint64_t low = (uint64_t)(cell - (octave << HISTOGRAM_BITS)) << octave;
  return low + ((UINT64_C(1) << octave) >> 1);
}

void histogram_add(struct histogram *h, uint64_t nanoseconds) {
  if (h->count == 0 || nanoseconds < h->min) h->min = nanoseconds;
  if (nanoseconds > h->max) h->max = nanoseconds;
  h->count++;
  h->sum += nanoseconds;
  h->cells[cell_of(nanoseconds)]++;
}

uint64_t histogram_at(const struct histogram *h, double share) {
  if (h->count == 0) return 0;
  uint64_t wanted = (uint64_t)(share * (double)h->count);
  if ((double)wanted < share * (double)h->count) wanted++;
  if (wanted == 0) wanted = 1;
  if (wanted >= h->count) return h->max;
  uint64_t seen = 0;
  for (unsigned cell = 0; cell < HISTOGRAM_CELLS; cell++) {
    seen += h->cells[cell];
    if (seen < wanted) continue;
    uint64_t value = middle_of(cell);
    if (value < h->min) return h->min;
    return value > h->max ? h->max : value;
  }
  return h->max;
}
