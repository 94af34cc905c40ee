#include "virtio/datapath_vhost_user.h"
#include "vmm/core/error.h"
#include <errno.h>
__attribute__((weak)) int vhost_user_create(const struct vhost_user_config *config,
					    unsigned int wait_ms, struct datapath **dp,
					    struct error *err)
{
	(void)config;
	(void)wait_ms;
	*dp = 0;
	return error_set(err, -ENOSYS, "not yet");
}
