#ifndef CLOSE_H
#define CLOSE_H
void close_from(int lowest);
#endif
