// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands through io_uring: how they are checked, cancelled and completed. PARK
 * stands in uring_park.c, the wait for events in uring_event.c.
 *
 * io_uring calls with its own lock held, mostly in the task that submitted, and
 * wants no sleep. A command that waits is "queued" for io_uring and in a list,
 * or a slot, of ours. Whoever takes it out of there, under the lock of that
 * place, is the one that completes it, and whoever comes later finds nothing:
 *
 *	io_uring itself (the ring goes, or the task) completes on the spot, with
 *	the flags it was called with;
 *	anybody else may be in a timer's interrupt, where completing is not
 *	allowed, and has it done in the command's task.
 *
 * Until it is completed a command holds the file, and the file the context, its
 * slots and the module. What io_uring calls in the command's task looks at the
 * command alone.
 */
#include <linux/fs.h>
#include <linux/string.h>

#include "compat.h"
#include "ctx.h"
#include "uring.h"

#if PULSE_HAVE_URING

static void pulse_uring_over(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct pulse_uring_state *state =
		io_uring_cmd_to_pdu(cmd, struct pulse_uring_state);

	pulse_uring_cmd_done(cmd, state->ret, issue_flags);
}

PULSE_URING_IN_TASK(pulse_uring_in_task, pulse_uring_over)

/**
 * pulse_uring_complete() - complete a command that was taken out
 * @cmd: the command; its state says the result
 *
 * Any context, no lock held.
 */
void pulse_uring_complete(struct io_uring_cmd *cmd)
{
	io_uring_cmd_complete_in_task(cmd, pulse_uring_in_task);
}

/**
 * pulse_uring_complete_at_once() - complete a command within io_uring's call
 * @cmd: the command
 * @ret: its result
 * @issue_flags: of the call
 *
 * The way for each result after the command was marked as cancelable, and for
 * EAGAIN at any time: returned, that would mean "once more, in a thread that may
 * sleep".
 */
void pulse_uring_complete_at_once(struct io_uring_cmd *cmd, int ret,
				  unsigned int issue_flags)
{
	pulse_uring_cmd_done(cmd, ret, issue_flags);
}

/*
 * The end of the ring, or of the task. A command that is not found any more is
 * being completed, or about to be put where the next call finds it.
 */
static void pulse_uring_cancel(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	bool mine = cmd->cmd_op == PULSE_URING_PARK ?
		pulse_uring_park_cancel(cmd) : pulse_uring_event_cancel(cmd);

	if (mine)
		pulse_uring_cmd_done(cmd, -ECANCELED, issue_flags);
}

/* All that a command does not use. Untrusted, each read once. */
static int pulse_uring_check(const struct io_uring_cmd *cmd,
			     unsigned int issue_flags)
{
	const struct io_uring_sqe *sqe = cmd->sqe;

	if (cmd->flags & IORING_URING_CMD_MASK || READ_ONCE(sqe->addr) ||
	    READ_ONCE(sqe->len) || READ_ONCE(sqe->buf_index) ||
	    READ_ONCE(sqe->file_index))
		return -EINVAL;
	if (issue_flags & IO_URING_F_SQE128 &&
	    memchr_inv(sqe + 1, 0, sizeof(*sqe)))
		return -E2BIG;
	return 0;
}

/**
 * pulse_uring_cmd() - a command of io_uring
 * @cmd: the command
 * @issue_flags: IO_URING_F_*
 *
 * Return: -EIOCBQUEUED, or an error of the ABI but -EAGAIN.
 */
int pulse_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct pulse_ctx *ctx = cmd->file->private_data;
	int ret;

	if (issue_flags & IO_URING_F_CANCEL) {
		pulse_uring_cancel(cmd, issue_flags);
		return 0;
	}
	if (cmd->cmd_op != PULSE_URING_PARK &&
	    cmd->cmd_op != PULSE_URING_EVENT_WAIT)
		return -ENOTTY;
	if (!(cmd->file->f_mode & FMODE_WRITE))
		return -EBADF;
	ret = pulse_ctx_check(ctx) ?: pulse_uring_check(cmd, issue_flags);
	if (ret)
		return ret;
	return cmd->cmd_op == PULSE_URING_PARK ?
		pulse_uring_park(ctx, cmd, issue_flags) :
		pulse_uring_event_wait(ctx, cmd, issue_flags);
}

#endif /* PULSE_HAVE_URING */
