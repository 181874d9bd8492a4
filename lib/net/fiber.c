/* fiber.c: stacks to run on, and the way between them (fiber.h).
 *
 * Owns the stacks: a few are kept for the next one.  Called by lib/admin and by who runs its verbs.
 * Nothing can fail but memory.  Must stay true: a fiber is entered from the loop alone, never from
 * another fiber, and leaves to where it was entered; its stack is given back after it was left for the
 * last time.  By ucontext(3) because that is in every libc; the price is a system call for the signal
 * mask, which a wait for LDAP does not notice. */
#include <errno.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "net/fiber.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define FIBER_MAGIC 0x66696265U
#define STACKS_KEPT 4

struct fiber {
	uint32_t magic;
	struct loop *loop;
	void (*fn)(void *);
	void *arg;
	char *stack; /* of FIBER_STACK bytes, behind the page that guards it */
	ucontext_t here, back;
	struct later later;
	bool waits, woken, over;
};

static struct fiber *running;
static char *kept[STACKS_KEPT];
static size_t nkept;

static size_t
fiber_guard(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static char *
fiber_stack_new(void)
{
	size_t guard = fiber_guard();
	char *p;

	if (nkept)
		return kept[--nkept];
	p = mmap(NULL, guard + FIBER_STACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(p != MAP_FAILED);
	must(mprotect(p, guard, PROT_NONE) == 0);
	return p + guard;
}

static void
fiber_stack_free(char *stack)
{
	if (nkept < STACKS_KEPT)
		kept[nkept++] = stack;
	else
		munmap(stack - fiber_guard(), fiber_guard() + FIBER_STACK);
}

/* AddressSanitizer is told which stack is the one; `fake` is its own of the one that is left. */
static void
fiber_switch(ucontext_t *from, ucontext_t *to, const void *stack UNUSED, size_t size UNUSED,
    bool last UNUSED)
{
#ifdef __SANITIZE_ADDRESS__
	void *fake = NULL;

	__sanitizer_start_switch_fiber(last ? NULL : &fake, stack, size);
#endif
	must(swapcontext(from, to) == 0);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
}

#ifdef __SANITIZE_ADDRESS__
static const void *loop_stack;
static size_t loop_stack_size;
#define LOOP_STACK loop_stack, loop_stack_size
#else
#define LOOP_STACK NULL, 0
#endif

static void
fiber_main(void)
{
	struct fiber *f = running;

#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(NULL, &loop_stack, &loop_stack_size);
#endif
	f->fn(f->arg);
	f->over = true;
	fiber_switch(&f->here, &f->back, LOOP_STACK, true);
	must(!"a fiber that is over runs on");
}

/* From the loop: f runs until it waits or is over. */
static void
fiber_enter(struct fiber *f)
{
	must(!running);
	running = f;
	f->waits = false;
	fiber_switch(&f->back, &f->here, f->stack, FIBER_STACK, false);
	running = NULL;
	if (!f->over)
		return;
	later_cancel(&f->later);
	fiber_stack_free(f->stack);
	f->magic = 0;
	mem_release(f);
}

static void
fiber_go_on(struct later *later)
{
	struct fiber *f = CAST(CONTAINER(later, struct fiber, later), struct fiber, FIBER_MAGIC);

	if (!f->waits || !f->woken)
		return;
	f->woken = false;
	fiber_enter(f);
}

void
fiber_start(struct loop *l, void (*fn)(void *), void *arg)
{
	struct fiber *f = mem_new(sizeof(*f));

	f->magic = FIBER_MAGIC;
	f->loop = l;
	f->fn = fn;
	f->arg = arg;
	f->stack = fiber_stack_new();
	later_init(&f->later);
	must(getcontext(&f->here) == 0);
	f->here.uc_stack.ss_sp = f->stack;
	f->here.uc_stack.ss_size = FIBER_STACK;
	f->here.uc_link = NULL;
	makecontext(&f->here, fiber_main, 0);
	fiber_enter(f);
}

struct fiber *
fiber_self(void)
{
	return running;
}

void
fiber_wait(void)
{
	struct fiber *f = running;

	must(f);
	f->waits = true;
	if (f->woken)
		later_run(&f->later, f->loop, fiber_go_on);
	fiber_switch(&f->here, &f->back, LOOP_STACK, false);
}

void
fiber_wake(struct fiber *f)
{
	f->woken = true;
	if (f->waits)
		later_run(&f->later, f->loop, fiber_go_on);
}
