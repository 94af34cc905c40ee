/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/tap_info.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "vmm/core/fd.h"

/* Call @take for each attribute in the @len bytes at @attr. */
static void for_each_attribute(const struct rtattr *attr, size_t len, struct tap_info *info,
			       void (*take)(const struct rtattr *attr, struct tap_info *info))
{
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len))
		take(attr, info);
}

static uint8_t u8(const struct rtattr *attr)
{
	return *(const uint8_t *)RTA_DATA(attr);
}

static uint32_t u32(const struct rtattr *attr)
{
	uint32_t value;

	memcpy(&value, RTA_DATA(attr), sizeof(value));
	return value;
}

static void take_tun_attribute(const struct rtattr *attr, struct tap_info *info)
{
	switch (attr->rta_type) {
	case IFLA_TUN_TYPE:
		info->tap = u8(attr) == IFF_TAP;
		break;
	case IFLA_TUN_MULTI_QUEUE:
		info->multi_queue = u8(attr);
		break;
	case IFLA_TUN_NUM_QUEUES:
	case IFLA_TUN_NUM_DISABLED_QUEUES:
		info->queues += u32(attr);
		break;
	case IFLA_TUN_OWNER:
		info->has_owner = true;
		info->owner = u32(attr);
		break;
	case IFLA_TUN_GROUP:
		info->has_group = true;
		info->group = u32(attr);
		break;
	default:
		break;
	}
}

static void take_info_attribute(const struct rtattr *attr, struct tap_info *info)
{
	/* The kernel puts the kind before its data. */
	if (attr->rta_type == IFLA_INFO_KIND) {
		info->tun_driver = strcmp(RTA_DATA(attr), "tun") == 0;
		info->bridge = strcmp(RTA_DATA(attr), "bridge") == 0;
	} else if (attr->rta_type == IFLA_INFO_DATA && info->tun_driver) {
		for_each_attribute(RTA_DATA(attr), RTA_PAYLOAD(attr), info, take_tun_attribute);
	}
}

static void take_link_attribute(const struct rtattr *attr, struct tap_info *info)
{
	if (attr->rta_type == IFLA_LINKINFO)
		for_each_attribute(RTA_DATA(attr), RTA_PAYLOAD(attr), info, take_info_attribute);
}

/* What the kernel says of one link; on the heap, for a stack keeps the pages that it once had. */
union reply {
	struct nlmsghdr head;
	uint8_t bytes[16384]; /* more than any link has to say */
};

static int parse_reply(const struct nlmsghdr *reply, size_t len, struct tap_info *info)
{
	const struct ifinfomsg *link = NLMSG_DATA(reply);

	if (!NLMSG_OK(reply, len))
		return -EPROTO;
	if (reply->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(reply))->error;
	if (reply->nlmsg_type != RTM_NEWLINK)
		return -EPROTO;
	info->up = link->ifi_flags & IFF_UP;
	for_each_attribute(IFLA_RTA(link), IFLA_PAYLOAD(reply), info, take_link_attribute);
	return 0;
}

int tap_info_get(const char *name, struct tap_info *info)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg link;
	} request = {
		.head.nlmsg_len = sizeof(request),
		.head.nlmsg_type = RTM_GETLINK,
		.head.nlmsg_flags = NLM_F_REQUEST,
		.link.ifi_family = AF_UNSPEC,
		.link.ifi_index = (int)if_nametoindex(name),
	};
	union reply *reply;
	ssize_t len;
	int ret;
	FD_CLEANUP int fd = -1;

	*info = (struct tap_info){0};
	if (!request.link.ifi_index)
		return -errno;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	reply = malloc(sizeof(*reply));
	if (!reply)
		return -ENOMEM;
	len = recv(fd, reply, sizeof(*reply), 0);
	ret = len < 0 ? -errno : parse_reply(&reply->head, (size_t)len, info);
	free(reply);
	return ret;
}
