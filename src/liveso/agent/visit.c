/* What a daemon finds that visits the process: nothing here runs by itself. */
#include "live.h"

__attribute__((visibility("default"))) struct live_area live_area = {.version = LIVE_AREA};

__attribute__((visibility("default"))) _Alignas(64) char live_stack[LIVE_STACK_SIZE];

/* A thread that is sent here calls a function, stores its result, and goes back to where it was: the stack has all of
 * that (rt_sigreturn(2)). Where who holds it takes that call away, and dies before it is where it was, it makes the
 * call again. The files *_calls.py in machine/ have the same code for a process that live.so is not in yet. */
#if defined __x86_64__
__asm__(".text\n"
	".globl live_stub\n"
	".type live_stub, @function\n"
	"live_stub:\n"
	".cfi_startproc\n"
	".cfi_undefined rip\n"
	"	call *%rbx\n"
	"	mov %rax, (%r12)\n"
	"1:	mov $15, %eax\n"
	"	syscall\n"
	"	jmp 1b\n"
	".cfi_endproc\n"
	".size live_stub, . - live_stub\n");
#elif defined __aarch64__
__asm__(".text\n"
	".balign 4\n"
	".globl live_stub\n"
	".type live_stub, %function\n"
	"live_stub:\n"
	".cfi_startproc\n"
	".cfi_undefined x30\n"
	"	blr x19\n"
	"	str x0, [x20]\n"
	"1:	mov x8, #139\n"
	"	svc #0\n"
	"	b 1b\n"
	".cfi_endproc\n"
	".size live_stub, . - live_stub\n");
#elif defined __riscv
__asm__(".text\n"
	".option push\n"
	".option norvc\n"
	".balign 4\n"
	".globl live_stub\n"
	".type live_stub, @function\n"
	"live_stub:\n"
	".cfi_startproc\n"
	".cfi_undefined ra\n"
	"	jalr s1\n"
	"	sd a0, 0(s2)\n"
	"1:	li a7, 139\n"
	"	ecall\n"
	"	j 1b\n"
	".cfi_endproc\n"
	".size live_stub, . - live_stub\n"
	".option pop\n");
#endif
