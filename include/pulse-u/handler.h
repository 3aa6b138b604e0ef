/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * handler.h - what is done with an event, and middleware around it.
 *
 * A chain is a list of links with a handler at its end. A link does something
 * before, calls the next one, and does something after; one that does not call
 * it answers in its place:
 *
 *	static int count(struct pulse_chain_event *event, const struct pulse_next *next,
 *			 void *arg)
 *	{
 *		int err;
 *
 *		if (too_many(arg))
 *			return -EBUSY;
 *		err = pulse_next_run(next, event);
 *		note(arg, err);
 *		return err;
 *	}
 *
 * A chain may be changed while it runs, from any thread and by its own links:
 * a run that has begun keeps the links it began with, the next one has the new
 * ones. Runs take no lock and wait for nobody.
 */
#ifndef PULSE_U_HANDLER_H
#define PULSE_U_HANDLER_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_chain;
struct pulse_context;
struct pulse_next;

/**
 * struct pulse_chain_event - what is to be handled
 * @sz: sizeof(struct pulse_chain_event)
 * @type: the program's own number; of WebSocket messages the opcode
 * @reserved: 0
 * @context: what is known about it, or NULL
 * @data: what came, or NULL; lasts during the run
 * @len: bytes of @data
 * @source: whom it came from: a connection, for one
 * @reply: the program's own: where links leave an answer
 *
 * Links may change all of it for those after them.
 */
struct pulse_chain_event {
	size_t sz;
	int type;
	uint32_t reserved;
	struct pulse_context *context;
	const void *data;
	size_t len;
	void *source;
	void *reply;
};

/**
 * typedef pulse_handler_fn - handles an event
 * @event: the event
 * @arg: as given with the function
 *
 * Return: 0 or more; a negative errno: it failed.
 */
typedef int (*pulse_handler_fn)(struct pulse_chain_event *event, void *arg);

/**
 * typedef pulse_middleware_fn - handles an event, with the help of who is next
 * @event: the event
 * @next: to be run with pulse_next_run(), not at all, once, or several times;
 *	valid during the call
 * @arg: as given with the function
 *
 * Return: 0 or more; a negative errno: it failed.
 */
typedef int (*pulse_middleware_fn)(struct pulse_chain_event *event,
				   const struct pulse_next *next, void *arg);

/**
 * pulse_next_run() - run the rest of the chain
 * @next: as given to the link
 * @event: the link's, or another one
 *
 * Return: what the rest returned; -EINVAL.
 */
PULSE_API int pulse_next_run(const struct pulse_next *next,
			     struct pulse_chain_event *event);

/* What is done when a link fails. */
enum pulse_link_flags {
	/*
	 * The event is more important than the link: if that fails without
	 * having run the next one, the rest runs as if it were not there; if it
	 * fails afterwards, what the rest returned counts.
	 */
	PULSE_LINK_OPTIONAL = 1 << 0,
};

/**
 * struct pulse_link - one middleware of a chain
 * @sz: sizeof(struct pulse_link)
 * @name: copied; unique in its chain; 1 to 64 bytes
 * @fn: called for each event; by several threads at once, if the chain is run
 *	by several
 * @arg: for @fn
 * @release: called once with @arg when the link has left the chain and no run
 *	has it any more, by whoever was last; or NULL
 * @flags: of enum pulse_link_flags
 * @reserved: 0
 */
struct pulse_link {
	size_t sz;
	const char *name;
	pulse_middleware_fn fn;
	void *arg;
	void (*release)(void *arg);
	uint32_t flags;
	uint32_t reserved;
};

#define PULSE_LINKS_MAX 64	/* in one chain */

/**
 * struct pulse_chain_opts - options of pulse_chain_create()
 * @sz: sizeof(struct pulse_chain_opts)
 * @handler: the end of the chain; default: answers -ENOSYS
 * @arg: for @handler and @on_error
 * @on_error: a run failed with @err, first of all in the link (or "handler")
 *	@who; what it returns becomes the run's value: 0 recovers it, @err lets
 *	it be. Default: the error is returned
 */
struct pulse_chain_opts {
	size_t sz;
	pulse_handler_fn handler;
	void *arg;
	int (*on_error)(struct pulse_chain_event *event, int err, const char *who,
			void *arg);
};

/**
 * pulse_chain_create() - make a chain without links
 * @opts: or NULL for the defaults
 * @out: the chain
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_chain_create(const struct pulse_chain_opts *opts,
				 struct pulse_chain **out);

/**
 * pulse_chain_destroy() - end a chain
 * @chain: nobody runs it or changes it any more
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_chain_destroy(struct pulse_chain *chain);

/**
 * pulse_chain_use() - add a link
 * @chain: the chain
 * @link: copied
 * @before: the name of the link it is to stand before; NULL: the last one,
 *	next to the handler
 *
 * Not to be called by a @release.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -EEXIST one has this name;
 * -ENOENT none is called @before; -ENOSPC PULSE_LINKS_MAX; -ENOMEM. After an
 * error @release is not called.
 */
PULSE_API int pulse_chain_use(struct pulse_chain *chain,
			      const struct pulse_link *link,
			      const char *before);

/**
 * pulse_chain_remove() - take a link out
 * @chain: the chain
 * @name: its name
 *
 * Runs that have begun may still call it.
 *
 * Return: 0; -EINVAL; -ENOENT; -ENOMEM.
 */
PULSE_API int pulse_chain_remove(struct pulse_chain *chain, const char *name);

/**
 * pulse_chain_set() - put other links in place of all, in one step
 * @chain: the chain
 * @links: copied; the first is the outermost
 * @nr: how many
 *
 * Return: as pulse_chain_use(); after an error all is as before.
 */
PULSE_API int pulse_chain_set(struct pulse_chain *chain,
			      const struct pulse_link *links, size_t nr);

/**
 * pulse_chain_run() - handle an event
 * @chain: the chain
 * @event: the event
 *
 * Return: what the outermost link returned, or on_error; -EINVAL.
 */
PULSE_API int pulse_chain_run(struct pulse_chain *chain,
			      struct pulse_chain_event *event);

/**
 * pulse_chain_run_batch() - handle several events, all with the same links
 * @chain: the chain
 * @events: in this order
 * @nr: how many
 * @results: out: what pulse_chain_run() would have returned for each; or NULL
 *
 * Return: how many did not fail; -EINVAL.
 */
PULSE_API int pulse_chain_run_batch(struct pulse_chain *chain,
				    struct pulse_chain_event *events, size_t nr,
				    int *results);

/**
 * struct pulse_link_stats - what a link has done
 * @sz: sizeof(struct pulse_link_stats), set by the caller
 * @runs: calls
 * @failed: of them, those that returned an error of its own or of its rest's
 * @skipped: failures that an optional link was forgiven
 */
struct pulse_link_stats {
	size_t sz;
	uint64_t runs;
	uint64_t failed;
	uint64_t skipped;
};

/**
 * pulse_chain_link_stats() - look at a link's figures
 * @chain: the chain
 * @name: its name
 * @out: the figures; its sz must be set
 *
 * Return: 0; -EINVAL; -ENOENT.
 */
PULSE_API int pulse_chain_link_stats(struct pulse_chain *chain,
				     const char *name,
				     struct pulse_link_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_HANDLER_H */
