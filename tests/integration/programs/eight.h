/* What a library offers to eight threads at once. */
#pragma once

void add(long amount);
long total(void);
void (*adder(void))(long);
void put(long item);
long take(void);
long take_turn(int side, int is_over);
long calls_of_this_thread(void);
int version(void);
