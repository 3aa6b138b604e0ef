/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * app_int.h - an application from the inside.
 */
#ifndef PULSE__APP_INT_H
#define PULSE__APP_INT_H

#include <pulse-u/app.h>

#include "sup/sup_int.h"

struct pulse_app {
	uint32_t magic;
	struct pulse_preset preset;
	struct pulse_sup *sup;
	bool built;
	pthread_mutex_t box_lock;	/* boxes */
	struct pulse__list boxes;	/* struct pulse__app_box */
};

/* app_box.c */
void pulse__app_boxes_open(struct pulse_app *app);
void pulse__app_boxes_close(struct pulse_app *app);
void pulse__app_boxes_free(struct pulse_app *app);

/* notify.c: how often the service manager wants to hear of us; 0: it does not */
int64_t pulse__watchdog_ns(void);

#endif /* PULSE__APP_INT_H */
