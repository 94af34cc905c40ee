/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: a JSON object whose members are the options of the command line, without
 * dashes, and their values as there: strings, or numbers; true and false for on and off; an array
 * of these for an option that may be given several times.
 *
 *	{"kernel": "bzImage", "memory": "1G", "cpus": 2, "net": ["tap0,vhost=on", "user"]}
 *
 * In memory it is an object with an array of strings for each option.
 */
#ifndef VMM_CONFIG_FILE_H
#define VMM_CONFIG_FILE_H

#include <jansson.h>

struct error;

/* *@options is the caller's. A usage error if it can't be read, or isn't like that. */
int config_file_load(const char *path, json_t **options, struct error *err);

/*
 * Note down one more @value for the option @name. -ENOMEM, or a usage error if it is no UTF-8,
 * which JSON needs.
 */
int config_file_add(json_t *options, const char *name, const char *value, struct error *err);

/* Write the file that means @options to standard output. 0 or a negative errno. */
int config_file_print(json_t *options, struct error *err);

#endif
