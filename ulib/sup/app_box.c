// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * app_box.c - an application's mailboxes: as large as its preset says, found by
 * name, closed while it is stopped.
 */
#include "sup/app_int.h"

struct pulse__app_box {
	struct pulse__list link;
	struct pulse_mailbox *mb;
	char name[];
};

/* With the lock. */
static struct pulse__app_box *find(struct pulse_app *app, const char *name)
{
	struct pulse__app_box *b;

	pulse__list_for_each_entry(b, &app->boxes, link) {
		if (!strcmp(b->name, name))
			return b;
	}
	return NULL;
}

int pulse_app_mailbox(struct pulse_app *app, const char *name,
		      const struct pulse_mailbox_opts *opts,
		      struct pulse_mailbox **out)
{
	PULSE_OPTS(pulse_mailbox_opts, o);
	struct pulse__app_box *b;
	size_t len;
	int err;

	if (out)
		*out = NULL;
	if (!app || !name || !*name || !out)
		return -EINVAL;
	len = strlen(name);
	if (len > PULSE_APP_MAILBOX_NAME_MAX) {
		pulse_log(PULSE_LOG_ERROR, "app: a mailbox's name of %zu bytes; use 1 to %d",
			  len, PULSE_APP_MAILBOX_NAME_MAX);
		return -EINVAL;
	}
	if (opts) {
		err = pulse__opts_load(&o, sizeof(o), pulse__size_to(
				       struct pulse_mailbox_opts, notify_arg),
				       opts);
		if (err)
			return err;
	}
	if (!o.capacity)
		o.capacity = app->preset.mailbox_capacity;
	b = pulse__calloc(1, sizeof(*b) + len + 1);
	if (!b)
		return -ENOMEM;
	memcpy(b->name, name, len + 1);
	err = pulse_mailbox_create(&o, &b->mb);
	if (err) {
		pulse__free(b);
		return err;
	}
	pthread_mutex_lock(&app->box_lock);
	if (find(app, name))
		err = -EEXIST;
	else
		pulse__list_add_tail(&app->boxes, &b->link);
	pthread_mutex_unlock(&app->box_lock);
	if (err) {
		pulse_mailbox_destroy(b->mb);
		pulse__free(b);
		return err;
	}
	*out = b->mb;
	return 0;
}

struct pulse_mailbox *pulse_app_find_mailbox(struct pulse_app *app,
					     const char *name)
{
	struct pulse__app_box *b;

	if (!app || !name)
		return NULL;
	pthread_mutex_lock(&app->box_lock);
	b = find(app, name);
	pthread_mutex_unlock(&app->box_lock);
	return b ? b->mb : NULL;
}

void pulse__app_boxes_open(struct pulse_app *app)
{
	struct pulse__app_box *b;

	pthread_mutex_lock(&app->box_lock);
	pulse__list_for_each_entry(b, &app->boxes, link)
		pulse_mailbox_reopen(b->mb);
	pthread_mutex_unlock(&app->box_lock);
}

void pulse__app_boxes_close(struct pulse_app *app)
{
	struct pulse__app_box *b;

	pthread_mutex_lock(&app->box_lock);
	pulse__list_for_each_entry(b, &app->boxes, link)
		pulse_mailbox_close(b->mb);
	pthread_mutex_unlock(&app->box_lock);
}

void pulse__app_boxes_free(struct pulse_app *app)
{
	struct pulse__list *l;

	while ((l = pulse__list_pop(&app->boxes))) {
		struct pulse__app_box *b = container_of(l, struct pulse__app_box,
							link);

		pulse_mailbox_destroy(b->mb);
		pulse__free(b);
	}
	pthread_mutex_destroy(&app->box_lock);
}
