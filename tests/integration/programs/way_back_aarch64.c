/* Goes where a frame on the stack says that it was (rt_sigreturn(2)), and tells what registers it has then.
 * First line out: the addresses of the place for a frame, and of where the frame's program counter is to be. In: the
 * frame. Out: x0 to x30, sp, fpsr, fpcr; with the length of a scalable vector as argument, z0 to z31, p0 to p15 and
 * ffr, else q0 to q31. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Alignas(64) unsigned char told[34 * 8 + 32 * 256 + 17 * 32];
void arrived(void);
static size_t size;
long length;

void tell(void)
{
	write(1, told, size);
	_exit(0);
}

unsigned char *place_to_tell(void)
{
	return told;
}

__asm__(".arch armv8.5-a+sve\n"
	".text\n"
	".globl arrived\n"
	"arrived:\n"
	"	stp x0, x1, [sp, #-16]!\n"
	"	adrp x0, told\n"
	"	add x0, x0, :lo12:told\n"
	"	str x2, [x0, #16]\n"
	"	ldp x1, x2, [sp], #16\n"
	"	stp x1, x2, [x0]\n"
	"	ldr x2, [x0, #16]\n"
	"	stp x2, x3, [x0, #16]\n"
	"	stp x4, x5, [x0, #32]\n"
	"	stp x6, x7, [x0, #48]\n"
	"	stp x8, x9, [x0, #64]\n"
	"	stp x10, x11, [x0, #80]\n"
	"	stp x12, x13, [x0, #96]\n"
	"	stp x14, x15, [x0, #112]\n"
	"	stp x16, x17, [x0, #128]\n"
	"	stp x18, x19, [x0, #144]\n"
	"	stp x20, x21, [x0, #160]\n"
	"	stp x22, x23, [x0, #176]\n"
	"	stp x24, x25, [x0, #192]\n"
	"	stp x26, x27, [x0, #208]\n"
	"	stp x28, x29, [x0, #224]\n"
	"	mov x1, sp\n"
	"	stp x30, x1, [x0, #240]\n"
	"	mrs x1, fpsr\n"
	"	mrs x2, fpcr\n"
	"	stp x1, x2, [x0, #256]\n"
	"	adrp x1, length\n"
	"	ldr x1, [x1, :lo12:length]\n"
	"	add x0, x0, #272\n"
	"	cbz x1, 2f\n"
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	str z\\n, [x0]\n"
	"	addvl x0, x0, #1\n"
	".endr\n"
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	str p\\n, [x0]\n"
	"	addpl x0, x0, #1\n"
	".endr\n"
	"	rdffr p0.b\n"
	"	str p0, [x0]\n"
	"	b tell\n"
	"2:\n"
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
	"	str q\\n, [x0], #16\n"
	".endr\n"
	"	b tell\n");

int main(int count, char **arguments)
{
	length = count > 1 ? atol(arguments[1]) : 0;
	size = 34 * 8 + (length ? 32 * length + 17 * (length / 8) : 32 * 16);
	unsigned char *memory = mmap(NULL, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *place = memory + (1 << 17);
	printf("%lu %lu\n", (unsigned long)place, (unsigned long)arrived);
	fflush(stdout);
	size_t got = 0;
	for (ssize_t more; (more = read(0, place + got, 1 << 16)) > 0;)
		got += (size_t)more;
	register void *frame __asm__("x9") = place;
	__asm__ volatile("mov sp, x9\n mov x8, #139\n svc #0\n" : : "r"(frame) : "memory");
	return 1;
}
