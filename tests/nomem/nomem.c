// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests in a guest with a distribution's kernel, which has no fault injection. While this
 * module is loaded, vmbus_open() of rings with more than `pages` pages fails as if there were no
 * memory.
 */
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>

static unsigned int pages = 8;
module_param(pages, uint, 0644);

/* Runs in place of vmbus_open(), and returns to its caller with the result in the register. */
static noinline notrace void nothing(void)
{
	barrier();
}

/* The second and the third argument of vmbus_open() are the sizes of both rings in bytes. */
static int no_memory(struct kprobe *probe, struct pt_regs *regs)
{
	if (((u32)regs->si + (u32)regs->dx) >> PAGE_SHIFT <= pages)
		return 0;
	regs->ax = -ENOMEM;
	regs->ip = (unsigned long)nothing;
	return 1;
}

/* With this the kernel does not replace the probe by a jump, after which it would ignore @ip. */
static void stay_a_probe(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = "vmbus_open",
	.pre_handler = no_memory,
	.post_handler = stay_a_probe,
};

static int __init nomem_init(void)
{
	return register_kprobe(&probe);
}

static void __exit nomem_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(nomem_init);
module_exit(nomem_exit);

MODULE_DESCRIPTION("no memory for rings of VMBus");
MODULE_LICENSE("GPL");
