/* What the threads of torture.c keep in a library that changes all the while. */
int version(void);

void add(int account, long amount);
long balance(int account);

/* A queue of few places: whoever finds it full, or empty, waits. */
void put(long item);
long take(void);

/* Two sides in turn, each of which waits for the other. How often both have been there. */
long take_turn(int side);
/* Let the other side go, whatever it waits for. */
void end_turns(int side);

/* Also from handlers of signals. */
void note(long amount);
long noted(void);
