/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ws_topic.h - one message for many connections: messages that are built once,
 * and topics that connections subscribe to.
 *
 *	pulse_ws_subscribe(conn, "news");
 *	...
 *	pulse_ws_publish(server, "news", NULL, PULSE_WS_TEXT, "hello", 5);
 *
 * The frame of a message is made once, whatever the number of those that get
 * it, and compressed once for each size of window that their peers have. All
 * loops' subscribers get the messages of a topic in the same order.
 *
 * A subscriber with no room (send_high_bytes of struct pulse_ws_opts, or
 * pulse_ws_conn_set_marks()) loses the message, one that waits for longer, or
 * its connection: enum pulse_ws_slow. All are counted, by connection and topic.
 */
#ifndef PULSE_U_WS_TOPIC_H
#define PULSE_U_WS_TOPIC_H

#include <pulse-u/ws.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_ws_prepared;

/* The longest name of a topic. */
#define PULSE_WS_TOPIC_MAX	255

/**
 * pulse_ws_prepare() - build a message to be sent to many
 * @opcode: PULSE_WS_TEXT or PULSE_WS_BINARY; text must be UTF-8
 * @data: copied; may be NULL where @len is 0
 * @len: bytes
 * @out: the message, with a reference for the caller
 *
 * It belongs to no server, and is safe to use from all threads at once.
 *
 * Return: 0; -EINVAL; -EMSGSIZE; -ENOMEM.
 */
PULSE_API int pulse_ws_prepare(int opcode, const void *data, size_t len,
			       struct pulse_ws_prepared **out);

/**
 * pulse_ws_prepared_get() - take a reference
 * @msg: a prepared message
 *
 * Return: @msg; NULL for NULL.
 */
PULSE_API struct pulse_ws_prepared *
pulse_ws_prepared_get(struct pulse_ws_prepared *msg);

/**
 * pulse_ws_prepared_put() - give a reference back
 * @msg: a prepared message, or NULL
 *
 * Connections that have not sent it yet hold their own.
 */
PULSE_API void pulse_ws_prepared_put(struct pulse_ws_prepared *msg);

/**
 * pulse_ws_send_prepared() - send a message that was built before
 * @conn: the connection
 * @msg: the message; not copied
 *
 * As pulse_ws_send() otherwise, and in order with it.
 *
 * Return: 0 taken; -EAGAIN too much is unsent, wait for on_drain; -EPIPE it
 * is closing; -ESRCH it is gone; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_ws_send_prepared(struct pulse_ws_conn *conn,
				     struct pulse_ws_prepared *msg);

/**
 * pulse_ws_subscribe() - have a connection get what is published on a topic
 * @conn: an open connection of a server
 * @topic: 1 to PULSE_WS_TOPIC_MAX bytes; copied
 *
 * From any thread. What the same thread publishes afterwards is received, unless
 * the connection moves to another loop just then. A second subscription to the
 * same topic changes nothing; all end with the connection.
 *
 * Return: 0; -EINVAL; -ENAMETOOLONG; -ENOSPC max_topics; -EDQUOT
 * max_subscriptions (from another thread than the loop's this is only said in
 * the log); -EPIPE it is not open; -ESRCH it is gone; -ENOMEM.
 */
PULSE_API int pulse_ws_subscribe(struct pulse_ws_conn *conn, const char *topic);

/**
 * pulse_ws_unsubscribe() - end a subscription
 * @conn: the connection
 * @topic: as subscribed to
 *
 * From any thread.
 *
 * Return: 0; -EINVAL; -ENOENT not subscribed to (from another thread than the
 * loop's: nobody is); -EPIPE; -ESRCH it is gone; -ENOMEM.
 */
PULSE_API int pulse_ws_unsubscribe(struct pulse_ws_conn *conn,
				   const char *topic);

/**
 * pulse_ws_publish() - send a message to a topic's subscribers
 * @server: the server
 * @topic: its name
 * @except: a connection that does not get it, its sender for one; or NULL
 * @opcode: PULSE_WS_TEXT or PULSE_WS_BINARY; text must be UTF-8
 * @data: copied; may be NULL where @len is 0
 * @len: bytes
 *
 * From any thread. It is handed out after the handlers that run now; between it
 * and what is sent to a connection directly there is no order.
 *
 * Return: how many were subscribed; -EAGAIN a loop has send_high_bytes of what
 * was published before still to hand out (nobody gets this one); -EINVAL;
 * -ENAMETOOLONG; -EMSGSIZE; -ENOMEM; -ESHUTDOWN the server has ended.
 */
PULSE_API int pulse_ws_publish(struct pulse_ws_server *server,
			       const char *topic,
			       const struct pulse_ws_conn *except, int opcode,
			       const void *data, size_t len);

/**
 * pulse_ws_publish_prepared() - send a prepared message to a topic's subscribers
 * @server: the server
 * @topic: its name
 * @except: a connection that does not get it, or NULL
 * @msg: the message
 *
 * Return: as pulse_ws_publish().
 */
PULSE_API int pulse_ws_publish_prepared(struct pulse_ws_server *server,
					const char *topic,
					const struct pulse_ws_conn *except,
					struct pulse_ws_prepared *msg);

/**
 * struct pulse_ws_topic_stats - what went through a topic
 * @sz: sizeof(struct pulse_ws_topic_stats), set by the caller
 * @subscribers: now
 * @published: messages since it has had subscribers
 * @delivered: copies of them given to subscribers
 * @dropped: copies dropped because a subscriber had no room
 *
 * When all loops have handed out, each message was delivered to or dropped for
 * each that was subscribed, but for those that were closing, and @except. With
 * PULSE_WS_SLOW_DROP_OLDEST one that waits is counted when it has gone, or was
 * dropped.
 */
struct pulse_ws_topic_stats {
	size_t sz;
	uint64_t subscribers;
	uint64_t published;
	uint64_t delivered;
	uint64_t dropped;
};

/**
 * pulse_ws_topic_stats() - look at a topic's figures
 * @server: the server
 * @topic: its name
 * @out: the figures; its sz must be set
 *
 * A topic lives from its first subscription to its last one's end; struct
 * pulse_ws_stats has the sums.
 *
 * Return: 0; -EINVAL; -ENAMETOOLONG; -ENOENT nobody is subscribed.
 */
PULSE_API int pulse_ws_topic_stats(struct pulse_ws_server *server,
				   const char *topic,
				   struct pulse_ws_topic_stats *out);

/**
 * pulse_ws_conn_dropped() - what a connection has lost
 * @conn: the connection
 *
 * Return: messages of topics dropped for want of room; 0 for NULL.
 */
PULSE_API uint64_t pulse_ws_conn_dropped(const struct pulse_ws_conn *conn);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WS_TOPIC_H */
