// SPDX-License-Identifier: GPL-2.0-only
/*
 * rooms.c - chat rooms: who connects to ws://HOST:PORT/ROOM gets what others say
 * there. One frame is built for all of a room, whichever loops they are on.
 *
 * usage: rooms [--listen ADDR:PORT]		until SIGINT or SIGTERM
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pulse-u/transport.h>
#include <pulse-u/ws_topic.h>

static struct pulse_ws_server *server;

static int on_request(struct pulse_ws_conn *conn,
		      const struct pulse_ws_request *request,
		      struct pulse_ws_answer *answer, void *arg)
{
	const char *room = pulse_ws_request_path(request) + 1;

	(void)conn;
	(void)arg;
	if (!*room || strlen(room) > PULSE_WS_TOPIC_MAX)
		return 404;
	answer->user = strdup(room);
	return answer->user ? 0 : 503;
}

static void on_open(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	if (pulse_ws_subscribe(conn, pulse_ws_conn_user(conn)))
		pulse_ws_close(conn, PULSE_WS_TRY_LATER, NULL, 0);
}

static void on_message(struct pulse_ws_conn *conn, int opcode, const void *data,
		       size_t len, void *arg)
{
	(void)arg;
	pulse_ws_publish(server, pulse_ws_conn_user(conn), conn, opcode, data,
			 len);
}

static void on_close(struct pulse_ws_conn *conn, int code, const char *reason,
		     size_t len, void *arg)
{
	(void)code;
	(void)reason;
	(void)len;
	(void)arg;
	free(pulse_ws_conn_user(conn));
	pulse_ws_conn_set_user(conn, NULL);
}

int main(int argc, char **argv)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = on_request,
		   .on_open = on_open, .on_message = on_message,
		   .on_close = on_close);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2,
		   .listen = argc > 2 ? argv[2] : "127.0.0.1:8080");
	char where[PULSE_ADDRESS_MAX];
	sigset_t end;
	int sig, err;

	if (argc != 1 && (argc != 3 || strcmp(argv[1], "--listen"))) {
		fprintf(stderr, "usage: rooms [--listen ADDR:PORT]\n");
		return 2;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	err = pulse_ws_server_create(&o, &server);
	if (!err)
		err = pulse_ws_server_start(server);
	if (err)
		return fprintf(stderr, "rooms: %s: %s\n", o.listen,
			       pulse_strerror(err)), 1;
	pulse_ws_server_address(server, where, sizeof(where));
	printf("rooms on ws://%s/ROOM\n", where);
	fflush(stdout);
	sigwait(&end, &sig);
	pulse_ws_server_drain(server, pulse_now_ns() + 5000000000LL);
	return pulse_ws_server_destroy(server) ? 1 : 0;
}
