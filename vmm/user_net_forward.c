/* SPDX-License-Identifier: Apache-2.0 */
/* What --net user says, of which the library itself makes nothing but errors. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/error.h"
#include "vmm/user_net.h"

const char user_net_guest[] = "10.0.2.15";

/* "[ADDRESS]:PORT" */
static bool parse_end(char *text, const char *address_default, struct in_addr *address,
		      uint16_t *port)
{
	char *colon = strchr(text, ':');
	char *end;
	unsigned long number;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return false;
	*colon = '\0';
	number = strtoul(colon + 1, &end, 10);
	*port = (uint16_t)number;
	return !*end && number > 0 && number <= UINT16_MAX &&
	       inet_pton(AF_INET, *text ? text : address_default, address) == 1;
}

int user_net_parse_forward(const char *option, const char *text, struct user_net_forward *forward,
			   struct error *err)
{
	char copy[64] = "";
	char *host = copy, *guest = NULL;
	const char *protocol = NULL;

	if (strlen(text) < sizeof(copy)) {
		memcpy(copy, text, strlen(text) + 1);
		guest = strchr(copy, '-');
	}
	if (guest) {
		*guest++ = '\0';
		protocol = strsep(&host, ":");
	}
	forward->udp = protocol && strcmp(protocol, "udp") == 0;
	if (!protocol || !host || (!forward->udp && strcmp(protocol, "tcp") != 0) ||
	    !parse_end(host, "0.0.0.0", &forward->host, &forward->host_port) ||
	    !parse_end(guest, user_net_guest, &forward->guest, &forward->guest_port))
		return error_usage(err,
				   "%s: '%s' is not tcp:[ADDRESS]:PORT-[ADDRESS]:PORT, or udp, as "
				   "tcp:127.0.0.1:2222-:22",
				   option, text);
	return 0;
}
