"""Functions of libc in which a thread can be borrowed while it is in their system call: they hold no lock of libc's
then, and have changed nothing of libc's that is not complete. Names are without versions; glibc's own other names for
them (`__poll`) are found with them, as long as it exports one of these.

Not here, though they block:
- what calls such a function with a lock held: getaddrinfo, syslog, getpwnam (of the resolver,
  of syslog, of NSS), fork, system, popen, posix_spawn, pthread_create, pthread_exit, pthread_cancel, setuid (their own,
  that of thread stacks, or the dynamic linker's), abort, raise, exit (that of the exit handlers);
- pthread_cond_signal, pthread_cond_broadcast, sem_post, pthread_mutex_unlock: what they wait for is never long;
- pthread_once, call_once: what they wait for may be what a constructor needs;
- mmap, munmap, brk, mprotect, madvise, getrandom: never long, and the allocator's tools;
- vfork, and clone with CLONE_VFORK: the thread cannot be stopped, and its child has the same memory;
- swapcontext and its like: the registers are being replaced.
"""

_WAITS = """
    poll ppoll __poll_chk __ppoll_chk select pselect epoll_wait epoll_pwait epoll_pwait2
    accept accept4 recv recvfrom recvmsg recvmmsg __recv_chk __recvfrom_chk
    pause sigsuspend sigpause sigwait sigwaitinfo sigtimedwait wait wait3 wait4 waitpid waitid
    msgrcv mq_receive mq_timedreceive semop semtimedop flock
"""
WAITS = frozenset(_WAITS.split())
"""What no allocator does: these are safe also in a program that brings an allocator of its own."""

_TRANSFERS = """
    read readv pread pread64 preadv preadv2 preadv64 preadv64v2 __read_chk __pread_chk __pread64_chk eventfd_read
    write writev pwrite pwrite64 pwritev pwritev2 pwritev64 pwritev64v2 eventfd_write
    connect send sendto sendmsg sendmmsg sendfile sendfile64 splice tee vmsplice copy_file_range
    msgsnd mq_send mq_timedsend ioctl tcdrain fcntl fcntl64 lockf lockf64 syscall
    open open64 openat openat64 __open_2 __open64_2 __openat_2 __openat64_2 creat creat64 close
    fsync fdatasync sync syncfs sync_file_range
    nanosleep clock_nanosleep usleep sleep thrd_sleep sched_yield thrd_yield pthread_yield
"""
TRANSFERS = frozenset(_TRANSFERS.split())
"""What an allocator may do with a lock held: it reads its settings, writes a report, yields to who has the lock."""

_LETS_SIGNALS_COME = """
    sigprocmask pthread_sigmask sigsetmask sigblock sighold sigrelse kill killpg tgkill sigqueue
    alarm setitimer ualarm timer_settime
"""
LETS_SIGNALS_COME = frozenset(_LETS_SIGNALS_COME.split())
"""Where a signal is delivered at the latest that could not be before: a handler that does not return (PostgreSQL's
postmaster makes processes in one) leaves them at their system call for good. They hold no lock."""

_LOCKS = """
    pthread_mutex_lock pthread_mutex_timedlock pthread_mutex_clocklock mtx_lock mtx_timedlock
    pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait cnd_wait cnd_timedwait
    pthread_rwlock_rdlock pthread_rwlock_timedrdlock pthread_rwlock_clockrdlock
    pthread_rwlock_wrlock pthread_rwlock_timedwrlock pthread_rwlock_clockwrlock
    sem_wait sem_timedwait sem_clockwait pthread_barrier_wait
    pthread_join pthread_timedjoin_np pthread_clockjoin_np thrd_join
"""
LOCKS = frozenset(_LOCKS.split())
"""Only while they are in futex(2): pthread_join returns the stack of the thread that has ended with a lock held."""

_STREAMS = """
    fgets fgets_unlocked fgetc fgetc_unlocked getc getc_unlocked _IO_getc getchar getchar_unlocked gets __uflow
    fread fread_unlocked getline getdelim __getdelim fgetws fgetwc getwc getwchar __underflow
    scanf fscanf vscanf vfscanf __isoc99_scanf __isoc99_fscanf __isoc23_scanf __isoc23_fscanf
    fputs fputs_unlocked fputc fputc_unlocked putc putc_unlocked _IO_putc putchar putchar_unlocked puts __overflow
    _IO_default_uflow _IO_file_underflow _IO_file_overflow _IO_file_xsputn _IO_default_xsputn _IO_file_sync
    _IO_wdefault_uflow _IO_wfile_underflow _IO_wfile_overflow _IO_wfile_xsputn
    fwrite fwrite_unlocked printf fprintf vprintf vfprintf __printf_chk __fprintf_chk __vfprintf_chk fflush
"""
STREAMS = frozenset(_STREAMS.split())
"""Only while they are in read(2) or write(2): they hold the lock of a stream then, which nothing asks for that a visit
calls, and are not inside the allocator."""

CLOCKS = frozenset({"clock_gettime", "gettimeofday", "time", "getcpu", "sched_getcpu", "timespec_get", "clock_getres"})
"""What only asks the kernel's code in the process (vdso(7)), which has no locks: safe while they are inside that."""
