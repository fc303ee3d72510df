/* A line for descriptor 2. Never waits, never fails: what cannot be written is counted in *lost_lines, and a later line says so. */
#ifndef SAY_H
#define SAY_H
extern unsigned *lost_lines;
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says how many lines were lost, if there were any. */
void say_lost(void);
#endif
