/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI transport (4.1). */
#include "selftest/selftest.h"

#include "lib/guest.h"
#include "lib/paging.h"
#include "lib/virtio_pci.h"

enum {
	CAP_SIZE = 16,
	NOTIFY_CAP_SIZE = 20,
	PCI_CAP_ACCESS_SIZE = 20,
	TRANSITIONAL_NET = 0x1000,
	CLASS_NETWORK = 0x0200,
	SUBSYSTEM_MIN = 0x40,
	QUEUES_SEEN = 128, /* at which the suite looks */
	NO_QUEUE = 0xfffe,
	MSIX_MAX = 0x800,
};

static struct frame frame;

static const struct pci_function *function(void)
{
	return &device.pci->function;
}

static volatile struct virtio_pci_common *common(void)
{
	return device.pci->common;
}

static uint32_t config(unsigned int offset, unsigned int size)
{
	return pci_read(function(), offset, size);
}

static void set_config(unsigned int offset, unsigned int size, uint32_t value)
{
	pci_write(function(), offset, size, value);
}

/* --- identity --- */

static const char *vendor(void)
{
	return config(PCI_VENDOR, 2) == VIRTIO_PCI_VENDOR
		       ? NULL
		       : failed("it is %#x", config(PCI_VENDOR, 2));
}

static const char *device_id(void)
{
	uint32_t id = config(PCI_DEVICE, 2);

	return id == VIRTIO_PCI_DEVICE_BASE + VIRTIO_ID_NET || id == TRANSITIONAL_NET
		       ? NULL
		       : failed("it is %#x", id);
}

static const char *revision(void)
{
	return config(PCI_REVISION, 1) >= 1 ? NULL : failed("it is 0");
}

static const char *subsystem(void)
{
	uint32_t id = config(PCI_SUBSYSTEM, 2);

	return id >= SUBSYSTEM_MIN ? NULL : failed("it is %#x", id);
}

static const char *header_type(void)
{
	uint32_t type = config(PCI_HEADER_TYPE, 1) & ~(uint32_t)PCI_HEADER_MULTI_FUNCTION;

	return type == 0 ? NULL : failed("it is %#x", type);
}

static const char *class_code(void)
{
	return config(PCI_CLASS, 2) == CLASS_NETWORK ? NULL
						     : failed("it is %#x", config(PCI_CLASS, 2));
}

static const char *identity_read_only(void)
{
	uint32_t before = config(PCI_VENDOR, 4);

	set_config(PCI_VENDOR, 4, 0x12345678);
	return config(PCI_VENDOR, 4) == before ? NULL : failed("it becomes %#x", config(0, 4));
}

static const char *ecam_and_ports(void)
{
	if (pci_ports_read(function(), PCI_VENDOR, 4) == UINT32_MAX)
		return skip("ports 0xcf8 and 0xcfc are not there");
	for (unsigned int offset = 0; offset < 256; offset += 4) {
		uint32_t by_ecam;

		if (!pci_ecam_read(function(), offset, 4, &by_ecam))
			return skip("there is no ECAM");
		if (pci_ports_read(function(), offset, 4) != by_ecam)
			return failed("at %#x they have %#x and %#x", offset, by_ecam,
				      pci_ports_read(function(), offset, 4));
	}
	return NULL;
}

static const char *narrow_reads(void)
{
	for (unsigned int offset = 0; offset < 64; offset += 4) {
		uint32_t word = config(offset, 4);
		uint32_t bytes = 0;

		for (unsigned int i = 0; i < 4; i++)
			bytes |= config(offset + i, 1) << 8 * i;
		if (bytes != word || (config(offset, 2) | config(offset + 2, 2) << 16) != word)
			return failed("at %#x, %#x is %#x by bytes", offset, word, bytes);
	}
	return NULL;
}

static const char *no_other_function(void)
{
	struct pci_function other = *function();

	if (config(PCI_HEADER_TYPE, 1) & PCI_HEADER_MULTI_FUNCTION)
		return skip("it has more functions");
	other.function = 7;
	return pci_read(&other, PCI_VENDOR, 2) == 0xffff ? NULL : failed("function 7 answers");
}

/* --- BARs and decoding --- */

static unsigned int common_bar(void)
{
	return config(virtio_pci_capability(function(), VIRTIO_PCI_CAP_COMMON) + VIRTIO_PCI_CAP_BAR,
		      1);
}

static const char *decoding_off(void)
{
	uint32_t command = config(PCI_COMMAND, 2);
	uint32_t seen;

	set_config(PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MEMORY);
	seen = common()->num_queues;
	set_config(PCI_COMMAND, 2, command);
	if (seen != 0xffff)
		return failed("num_queues reads %#x without memory decoding", seen);
	return common()->num_queues != 0xffff ? NULL : failed("it stays off");
}

static const char *bar_size(void)
{
	uint64_t size = function()->bars[common_bar()].size;

	return size >= PAGE_SIZE && (size & (size - 1)) == 0 ? NULL : failed("it is %#lx", size);
}

static const char *bar_moves(void)
{
	unsigned int bar = PCI_BAR0 + 4 * common_bar();
	const struct pci_bar *at = &function()->bars[common_bar()];
	uint64_t other = at->base + at->size;
	uint32_t command = config(PCI_COMMAND, 2);
	uint32_t there;

	map_identity(other, at->size, true);
	set_config(PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MEMORY);
	set_config(bar, 4, (uint32_t)other);
	set_config(PCI_COMMAND, 2, command);
	there = *(volatile uint16_t *)((uintptr_t)&common()->num_queues + at->size);
	set_config(PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MEMORY);
	set_config(bar, 4, (uint32_t)at->base);
	set_config(PCI_COMMAND, 2, command);
	if (there != common()->num_queues)
		return failed("num_queues is %#x at %#lx", there, other);
	return NULL;
}

/* --- capabilities --- */

static const char *for_each_capability(const char *(*look)(unsigned int at, unsigned int type))
{
	unsigned int at = 0;

	while ((at = pci_find_capability(function(), PCI_CAP_VENDOR, at)) != 0) {
		const char *result = look(at, config(at + VIRTIO_PCI_CAP_TYPE, 1));

		if (result != NULL)
			return result;
	}
	return NULL;
}

static const char *check_cap_len(unsigned int at, unsigned int type)
{
	static const uint8_t sizes[] = {
		[VIRTIO_PCI_CAP_NOTIFY] = NOTIFY_CAP_SIZE,
		[VIRTIO_PCI_CAP_PCI] = PCI_CAP_ACCESS_SIZE,
		[VIRTIO_PCI_CAP_SHARED_MEMORY] = 24,
	};
	unsigned int wanted = CAP_SIZE;
	unsigned int len = config(at + VIRTIO_PCI_CAP_LEN, 1);

	if (type < sizeof(sizes) && sizes[type] != 0)
		wanted = sizes[type];
	return type == VIRTIO_PCI_CAP_VENDOR || len >= wanted
		       ? NULL
		       : failed("of type %u it is %u, not %u", type, len, wanted);
}

static const char *cap_len(void)
{
	return for_each_capability(check_cap_len);
}

static const char *check_inside_bar(unsigned int at, unsigned int type)
{
	unsigned int bar = config(at + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t end = (uint64_t)config(at + VIRTIO_PCI_CAP_OFFSET, 4) +
		       config(at + VIRTIO_PCI_CAP_LENGTH, 4);

	if (type == VIRTIO_PCI_CAP_PCI || type >= VIRTIO_PCI_CAP_SHARED_MEMORY)
		return NULL;
	if (bar >= PCI_BARS)
		return failed("that of type %u is in BAR %u", type, bar);
	if (function()->bars[bar].size != 0 && end > function()->bars[bar].size)
		return failed("that of type %u ends at %#lx of %#lx", type, end,
			      function()->bars[bar].size);
	return NULL;
}

static const char *inside_bar(void)
{
	return for_each_capability(check_inside_bar);
}

static const char *is_present(enum virtio_pci_capability type)
{
	return virtio_pci_capability(function(), type) != 0 ? NULL : failed("there is none");
}

static const char *has_common(void)
{
	return is_present(VIRTIO_PCI_CAP_COMMON);
}

static const char *has_notify(void)
{
	return is_present(VIRTIO_PCI_CAP_NOTIFY);
}

static const char *has_isr(void)
{
	return is_present(VIRTIO_PCI_CAP_ISR);
}

static const char *has_device(void)
{
	return is_present(VIRTIO_PCI_CAP_DEVICE);
}

static const char *has_pci(void)
{
	return is_present(VIRTIO_PCI_CAP_PCI);
}

static const char *aligned(enum virtio_pci_capability type, uint32_t alignment)
{
	unsigned int at = virtio_pci_capability(function(), type);
	uint32_t offset = config(at + VIRTIO_PCI_CAP_OFFSET, 4);

	return at == 0 || offset % alignment == 0 ? NULL : failed("it is %#x", offset);
}

static const char *common_aligned(void)
{
	return aligned(VIRTIO_PCI_CAP_COMMON, 4);
}

static const char *device_aligned(void)
{
	return aligned(VIRTIO_PCI_CAP_DEVICE, 4);
}

static const char *notify_aligned(void)
{
	return aligned(VIRTIO_PCI_CAP_NOTIFY, offers(VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2);
}

static const char *notify_multiplier(void)
{
	uint32_t multiplier = device.pci->notify_multiplier;
	uint32_t least = offers(VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2;

	if (multiplier == 0 || ((multiplier & (multiplier - 1)) == 0 && multiplier >= least))
		return NULL;
	return failed("it is %#x", multiplier);
}

static const char *notify_length(void)
{
	unsigned int at = virtio_pci_capability(function(), VIRTIO_PCI_CAP_NOTIFY);
	uint32_t length = config(at + VIRTIO_PCI_CAP_LENGTH, 4);
	uint32_t width = offers(VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2;

	for (uint16_t queue = 0; queue < common()->num_queues && queue < QUEUES_SEEN; queue++) {
		common()->queue_select = queue;
		if (common()->queue_size != 0 &&
		    length < common()->queue_notify_off * device.pci->notify_multiplier + width)
			return failed("it is %#x, and queue %u has the offset %u * %u", length,
				      queue, common()->queue_notify_off,
				      device.pci->notify_multiplier);
	}
	return NULL;
}

/* --- common configuration --- */

static const char *high_features(void)
{
	for (uint32_t select = 2; select < 6; select++) {
		common()->device_feature_select = select;
		if (common()->device_feature != 0)
			return failed("it is %#x where device_feature_select is %u",
				      common()->device_feature, select);
	}
	return NULL;
}

static const char *selectors_read_back(void)
{
	common()->device_feature_select = 1;
	common()->driver_feature_select = 1;
	common()->queue_select = 1;
	if (common()->device_feature_select != 1 || common()->driver_feature_select != 1 ||
	    common()->queue_select != 1)
		return failed("they are %u, %u, %u", common()->device_feature_select,
			      common()->driver_feature_select, common()->queue_select);
	return NULL;
}

static const char *driver_features(void)
{
	uint64_t features;

	negotiate_exactly(offered);
	common()->driver_feature_select = 0;
	features = common()->driver_feature;
	common()->driver_feature_select = 1;
	features |= (uint64_t)common()->driver_feature << 32;
	return features == offered ? NULL : failed("%#lx is read for %#lx", features, offered);
}

static const char *halves(void)
{
	volatile uint32_t *field[] = {common()->queue_desc, common()->queue_driver,
				      common()->queue_device};

	negotiate(0);
	common()->queue_select = TRANSMIT;
	for (size_t i = 0; i < 3; i++) {
		field[i][0] = 0x1000;
		field[i][1] = 0x12;
		field[i][0] = 0x3000;
		if (field[i][0] != 0x3000 || field[i][1] != 0x12)
			return failed("address %zu is %#x %08x", i, field[i][1], field[i][0]);
		field[i][1] = 0;
		if (field[i][0] != 0x3000 || field[i][1] != 0)
			return failed("address %zu is %#x %08x", i, field[i][1], field[i][0]);
	}
	return NULL;
}

static const char *num_queues(void)
{
	uint16_t needed = offers(VIRTIO_NET_F_CTRL_VQ) ? 3 : 2;

	return common()->num_queues >= needed ? NULL : failed("it is %u", common()->num_queues);
}

static const char *absent_queue(void)
{
	common()->queue_select = NO_QUEUE;
	return common()->queue_size == 0 ? NULL : failed("it is %u", common()->queue_size);
}

static const char *absent_queue_not_enabled(void)
{
	common()->queue_select = NO_QUEUE;
	common()->queue_size = 16;
	common()->queue_enable = 1;
	return common()->queue_enable == 0 ? NULL : failed("it is %u", common()->queue_enable);
}

static const char *size_power_of_two(void)
{
	for (uint16_t queue = 0; queue < common()->num_queues && queue < QUEUES_SEEN; queue++) {
		uint16_t size = device.transport->queue_max(&device, queue);

		if (size > 32768 || (size & (size - 1)) != 0)
			return failed("of queue %u it is %u", queue, size);
	}
	return NULL;
}

static const char *size_reads_back(void)
{
	negotiate(0);
	common()->queue_select = TRANSMIT;
	common()->queue_size = 16;
	return common()->queue_size == 16 ? NULL : failed("it is %u", common()->queue_size);
}

static const char *size_after_reset(void)
{
	uint16_t max = device.transport->queue_max(&device, TRANSMIT);
	uint16_t size;

	start(0);
	if (!virtio_reset(&device))
		return failed("the reset doesn't end");
	size = device.transport->queue_max(&device, TRANSMIT);
	return size == max ? NULL : failed("it is %u, and was %u", size, max);
}

static const char *enable_after_reset(void)
{
	start(0);
	if (!virtio_reset(&device))
		return failed("the reset doesn't end");
	for (uint16_t queue = 0; queue < common()->num_queues && queue < QUEUES_SEEN; queue++)
		if (device.transport->queue_enabled(&device, queue))
			return failed("of queue %u it is set", queue);
	return NULL;
}

static const char *enable_reads_back(void)
{
	start(0);
	return device.transport->queue_enabled(&device, TRANSMIT) ? NULL : failed("it is 0");
}

static const char *reset_reads_zero(void)
{
	start(0);
	common()->device_status = 0;
	for (deadline_t d = deadline(PATIENCE_MS); common()->device_status != 0;)
		if (deadline_passed(d))
			return failed("it is %#x", common()->device_status);
	return NULL;
}

static const char *queue_reset_zero(void)
{
	negotiate(FEATURE(VIRTIO_F_RING_RESET));
	common()->queue_select = TRANSMIT;
	if (common()->queue_reset != 0)
		return failed("it is %u after a reset", common()->queue_reset);
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	return common()->queue_reset == 0
		       ? NULL
		       : failed("it is %u when the queue is enabled", common()->queue_reset);
}

static const char *queue_reset_done(void)
{
	start(FEATURE(VIRTIO_F_RING_RESET));
	if (!virtio_reset_queue(&device, TRANSMIT))
		return failed("queue_reset doesn't become 0");
	return common()->queue_enable == 0 ? NULL : failed("queue_enable is still 1");
}

static const char *queue_reset_enabled_again(void)
{
	start(FEATURE(VIRTIO_F_RING_RESET));
	if (!virtio_reset_queue(&device, TRANSMIT))
		return failed("queue_reset doesn't become 0");
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	if (common()->queue_reset != 0 || common()->queue_enable != 1)
		return failed("queue_reset is %u, queue_enable is %u", common()->queue_reset,
			      common()->queue_enable);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent");
}

static const char *read_only_fields(void)
{
	uint16_t queues = common()->num_queues;
	uint32_t features;

	common()->device_feature_select = 0;
	features = common()->device_feature;
	common()->device_feature = ~features;
	common()->num_queues = 1;
	if (common()->device_feature != features || common()->num_queues != queues)
		return failed("they change");
	return NULL;
}

/* --- configuration access by the capability (4.1.4.9) --- */

static void select_access(unsigned int cap, uint32_t offset, uint32_t length)
{
	unsigned int at = virtio_pci_capability(function(), VIRTIO_PCI_CAP_COMMON);

	set_config(cap + VIRTIO_PCI_CAP_BAR, 1, config(at + VIRTIO_PCI_CAP_BAR, 1));
	set_config(cap + VIRTIO_PCI_CAP_OFFSET, 4, config(at + VIRTIO_PCI_CAP_OFFSET, 4) + offset);
	set_config(cap + VIRTIO_PCI_CAP_LENGTH, 4, length);
}

static const char *access_reads(void)
{
	unsigned int cap = virtio_pci_capability(function(), VIRTIO_PCI_CAP_PCI);
	uint32_t value;

	if (cap == 0)
		return failed("there is no such capability");
	select_access(cap, offsetof(struct virtio_pci_common, num_queues), 2);
	value = config(cap + VIRTIO_PCI_CAP_DATA, 2);
	if (value != common()->num_queues)
		return failed("num_queues is %#x, not %#x", value, common()->num_queues);
	common()->device_feature_select = 0;
	select_access(cap, offsetof(struct virtio_pci_common, device_feature), 4);
	value = config(cap + VIRTIO_PCI_CAP_DATA, 4);
	return value == (uint32_t)offered ? NULL : failed("device_feature is %#x", value);
}

static const char *access_writes(void)
{
	unsigned int cap = virtio_pci_capability(function(), VIRTIO_PCI_CAP_PCI);

	if (cap == 0)
		return failed("there is no such capability");
	select_access(cap, offsetof(struct virtio_pci_common, device_status), 1);
	set_config(cap + VIRTIO_PCI_CAP_DATA, 1, VIRTIO_ACKNOWLEDGE);
	if (common()->device_status != VIRTIO_ACKNOWLEDGE)
		return failed("device_status is %#x", common()->device_status);
	select_access(cap, offsetof(struct virtio_pci_common, queue_select), 2);
	set_config(cap + VIRTIO_PCI_CAP_DATA, 2, 1);
	return common()->queue_select == 1 ? NULL
					   : failed("queue_select is %u", common()->queue_select);
}

static const char *access_out_of_range(void)
{
	unsigned int cap = virtio_pci_capability(function(), VIRTIO_PCI_CAP_PCI);

	if (cap == 0)
		return failed("there is no such capability");
	set_config(cap + VIRTIO_PCI_CAP_BAR, 1, 5);
	set_config(cap + VIRTIO_PCI_CAP_OFFSET, 4, 0xfffffffc);
	set_config(cap + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	config(cap + VIRTIO_PCI_CAP_DATA, 4);
	set_config(cap + VIRTIO_PCI_CAP_DATA, 4, 0);
	set_config(cap + VIRTIO_PCI_CAP_LENGTH, 4, 0);
	config(cap + VIRTIO_PCI_CAP_DATA, 4);
	start(0);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent afterwards");
}

static const char *vendor_data(void)
{
	unsigned int at = virtio_pci_capability(function(), VIRTIO_PCI_CAP_VENDOR);

	if (at == 0)
		return skip("there is none");
	if (config(at + VIRTIO_PCI_CAP_LEN, 1) % 4 != 0)
		return failed("its size is %u", config(at + VIRTIO_PCI_CAP_LEN, 1));
	return config(at + 4, 2) != VIRTIO_PCI_VENDOR ? NULL : failed("vendor_id is 0x1af4");
}

static const char *shared_memory(void)
{
	return virtio_pci_capability(function(), VIRTIO_PCI_CAP_SHARED_MEMORY) == 0
		       ? NULL
		       : failed("there is one, which a network device has no use for");
}

/* --- MSI-X --- */

static unsigned int table_size(void)
{
	return (config(device.pci->msix + PCI_MSIX_CONTROL, 2) & PCI_MSIX_SIZE_MASK) + 1;
}

static const char *no_msix(void)
{
	return device.pci->msix != 0 && device.pci->msix_on ? NULL : skip("MSI-X is not in use");
}

static const char *msix_size(void)
{
	const char *result = no_msix();

	if (result == NULL && (table_size() < 2 || table_size() > MSIX_MAX))
		result = failed("there are %u", table_size());
	return result;
}

static const char *msix_unmapped_after_reset(void)
{
	const char *result = no_msix();

	if (result != NULL)
		return result;
	start(0);
	if (!virtio_reset(&device))
		return failed("the reset doesn't end");
	if (common()->config_msix_vector != VIRTIO_PCI_NO_VECTOR)
		return failed("config_msix_vector is %#x", common()->config_msix_vector);
	for (uint16_t queue = 0; queue < common()->num_queues && queue < QUEUES_SEEN; queue++) {
		common()->queue_select = queue;
		if (common()->queue_msix_vector != VIRTIO_PCI_NO_VECTOR)
			return failed("queue_msix_vector of queue %u is %#x", queue,
				      common()->queue_msix_vector);
	}
	return NULL;
}

static const char *msix_each_vector(void)
{
	const char *result = no_msix();

	if (result != NULL)
		return result;
	common()->queue_select = TRANSMIT;
	for (uint16_t vector = 0; vector < table_size(); vector++) {
		common()->config_msix_vector = vector;
		common()->queue_msix_vector = vector;
		if (common()->config_msix_vector != vector || common()->queue_msix_vector != vector)
			return failed("vector %u reads back as %#x and %#x", vector,
				      common()->config_msix_vector, common()->queue_msix_vector);
	}
	return NULL;
}

static const char *msix_unmaps(void)
{
	const char *result = no_msix();

	if (result != NULL)
		return result;
	common()->queue_select = TRANSMIT;
	common()->config_msix_vector = 0;
	common()->queue_msix_vector = 0;
	common()->config_msix_vector = VIRTIO_PCI_NO_VECTOR;
	common()->queue_msix_vector = VIRTIO_PCI_NO_VECTOR;
	if (common()->config_msix_vector != VIRTIO_PCI_NO_VECTOR ||
	    common()->queue_msix_vector != VIRTIO_PCI_NO_VECTOR)
		return failed("they are %#x and %#x", common()->config_msix_vector,
			      common()->queue_msix_vector);
	return NULL;
}

static const char *msix_no_such_vector(void)
{
	const char *result = no_msix();

	if (result != NULL)
		return result;
	common()->queue_select = TRANSMIT;
	common()->queue_msix_vector = (uint16_t)table_size();
	common()->config_msix_vector = (uint16_t)table_size();
	if (common()->config_msix_vector != VIRTIO_PCI_NO_VECTOR ||
	    common()->queue_msix_vector != VIRTIO_PCI_NO_VECTOR)
		return failed("they are %#x and %#x", common()->config_msix_vector,
			      common()->queue_msix_vector);
	return NULL;
}

/* A frame is sent, and whether that interrupts. */
static const char *expect_interrupt(bool wanted)
{
	uint32_t seen = irq_count(device.irq);

	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	make_frame(&frame, FRAME_MIN);
	if (!send(&frame))
		return failed("nothing is sent");
	if (interrupted(seen, wanted ? PATIENCE_MS : QUIET_MS) != wanted)
		return wanted ? failed("no interrupt comes") : failed("an interrupt comes");
	return NULL;
}

static const char *msix_no_vector_silent(void)
{
	const char *result = no_msix();

	if (result != NULL)
		return result;
	start(0);
	common()->queue_select = TRANSMIT;
	common()->queue_msix_vector = VIRTIO_PCI_NO_VECTOR;
	return expect_interrupt(false);
}

static const char *msix_vector_again(void)
{
	const char *result = msix_no_vector_silent();

	if (result != NULL)
		return result;
	common()->queue_msix_vector = 0;
	return expect_interrupt(true);
}

static const char *msix_masked(void)
{
	const char *result = no_msix();
	uint32_t seen;

	if (result != NULL)
		return result;
	start(0);
	device.pci->msix_table[0].control = PCI_MSIX_VECTOR_MASKED;
	result = expect_interrupt(false);
	seen = irq_count(device.irq);
	device.pci->msix_table[0].control = 0;
	if (result == NULL && !interrupted(seen, PATIENCE_MS))
		result = failed("what was masked doesn't come when it no longer is");
	return result;
}

static const char *msix_function_masked(void)
{
	unsigned int control = device.pci->msix + PCI_MSIX_CONTROL;
	const char *result = no_msix();
	uint32_t seen;

	if (result != NULL)
		return result;
	start(0);
	set_config(control, 2, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	result = expect_interrupt(false);
	seen = irq_count(device.irq);
	set_config(control, 2, PCI_MSIX_ENABLE);
	if (result == NULL && !interrupted(seen, PATIENCE_MS))
		result = failed("what was masked doesn't come when it no longer is");
	return result;
}

static const char *msix_pending_bit(void)
{
	const char *result = no_msix();
	uint32_t pba;
	volatile uint32_t *bits;

	if (result != NULL)
		return result;
	pba = config(device.pci->msix + PCI_MSIX_PENDING, 4);
	bits = (volatile uint32_t *)(function()->bars[pba & 7].base + (pba & ~7u));
	start(0);
	device.pci->msix_table[0].control = PCI_MSIX_VECTOR_MASKED;
	result = expect_interrupt(false);
	for (deadline_t d = deadline(PATIENCE_MS); result == NULL && !(*bits & 1);)
		if (deadline_passed(d))
			result = failed("it isn't set for a vector that is masked");
	device.pci->msix_table[0].control = 0;
	for (deadline_t d = deadline(PATIENCE_MS); result == NULL && *bits & 1;)
		if (deadline_passed(d))
			result = failed("it stays set");
	return result;
}

static const char *msix_table_reads_back(void)
{
	volatile struct pci_msix_entry *entry = &device.pci->msix_table[1];
	const char *result = no_msix();

	if (result != NULL)
		return result;
	entry->control = PCI_MSIX_VECTOR_MASKED;
	entry->address = 0xfee01000;
	entry->address_high = 0;
	entry->data = 0x1234;
	if (entry->address != 0xfee01000 || entry->address_high != 0 || entry->data != 0x1234 ||
	    !(entry->control & PCI_MSIX_VECTOR_MASKED))
		return failed("%#x %#x %#x %#x", entry->address, entry->address_high, entry->data,
			      entry->control);
	return NULL;
}

static const char *config_vector_silent(void)
{
	struct segment bad = {(void *)0x4000000000, 100};
	const char *result = no_msix();
	uint32_t seen;

	if (result != NULL)
		return result;
	start(0);
	common()->config_msix_vector = VIRTIO_PCI_NO_VECTOR;
	seen = irq_count(device.irq);
	/* An error, which is told by a configuration change notification. */
	virtqueue_add(&net.queues[TRANSMIT], &bad, 1, 0, &bad);
	virtqueue_publish(&net.queues[TRANSMIT]);
	virtqueue_kick(&net.queues[TRANSMIT]);
	return interrupted(seen, QUIET_MS) ? failed("an interrupt comes") : NULL;
}

/* --- ISR status, with MSI-X off for the time of a case --- */

static const char *without_msix(const char *(*run)(void))
{
	bool on = device.pci->msix_on;
	const char *result;

	if (on)
		virtio_pci_set_msix(device.pci, false);
	start(0);
	result = run();
	virtio_reset(&device);
	if (on)
		virtio_pci_set_msix(device.pci, true);
	return result;
}

static const char *send_with_interrupt(void)
{
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	make_frame(&frame, FRAME_MIN);
	return send(&frame) ? NULL : failed("nothing is sent");
}

/* PCI Status says what ISR status does, without taking it away. */
static const char *wait_for_interrupt_status(void)
{
	for (deadline_t d = deadline(PATIENCE_MS); !(config(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);)
		if (deadline_passed(d))
			return failed("Interrupt Status in PCI Status is not set");
	return NULL;
}

static const char *check_isr_queue(void)
{
	const char *result = send_with_interrupt();

	for (deadline_t d = deadline(PATIENCE_MS);
	     result == NULL && !(*device.pci->isr & VIRTIO_CAUSE_USED);)
		if (deadline_passed(d))
			result = failed("it isn't set");
	return result;
}

static const char *isr_queue(void)
{
	if (!device.pci->msix_on)
		return skip("INTx takes it away");
	return without_msix(check_isr_queue);
}

static const char *check_isr_cleared(void)
{
	const char *result = check_isr_queue();

	if (result == NULL && *device.pci->isr != 0)
		result = failed("it is read twice");
	return result;
}

static const char *isr_cleared(void)
{
	if (!device.pci->msix_on)
		return skip("INTx takes it away");
	return without_msix(check_isr_cleared);
}

static const char *check_interrupt_status(void)
{
	const char *result = send_with_interrupt();

	if (result == NULL)
		result = wait_for_interrupt_status();
	if (result != NULL)
		return result;
	if (*device.pci->isr != VIRTIO_CAUSE_USED)
		return failed("ISR status is something else");
	return config(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT
		       ? failed("it is still set when ISR status is 0")
		       : NULL;
}

static const char *interrupt_status(void)
{
	if (!device.pci->msix_on)
		return skip("INTx takes it away");
	return without_msix(check_interrupt_status);
}

static const char *isr_config(void)
{
	struct segment bad = {(void *)0x4000000000, 100};

	start(0);
	virtqueue_add(&net.queues[TRANSMIT], &bad, 1, 0, &bad);
	virtqueue_publish(&net.queues[TRANSMIT]);
	virtqueue_kick(&net.queues[TRANSMIT]);
	for (deadline_t d = deadline(PATIENCE_MS);
	     !(device.transport->status(&device) & VIRTIO_NEEDS_RESET);)
		if (deadline_passed(d))
			return skip("DEVICE_NEEDS_RESET is not set");
	for (deadline_t d = deadline(PATIENCE_MS);
	     !(device.transport->take_causes(&device) & VIRTIO_CAUSE_CONFIG);)
		if (deadline_passed(d))
			return failed("it isn't set");
	return NULL;
}

static const char *isr_after_reset(void)
{
	const char *result;

	if (!device.pci->msix_on)
		return skip("INTx takes it away");
	virtio_pci_set_msix(device.pci, false);
	start(0);
	result = send_with_interrupt();
	virtio_reset(&device);
	if (result == NULL && *device.pci->isr != 0)
		result = failed("it is set");
	virtio_pci_set_msix(device.pci, true);
	return result;
}

static const struct test_case cases[] = {
	{"4.1.1", "the header is that of a function, not of a bridge", header_type, PCI, 0},
	{"4.1.1", "the class is that of an Ethernet controller", class_code, PCI, 0},
	{"4.1.1", "vendor and device can't be written", identity_read_only, PCI, 0},
	{"4.1.1", "ECAM and ports show the same configuration space", ecam_and_ports, PCI, 0},
	{"4.1.1", "configuration space reads the same by bytes, words and double words",
	 narrow_reads, PCI, 0},
	{"4.1.1", "a function that doesn't exist doesn't answer", no_other_function, PCI, 0},
	{"4.1.1", "without memory decoding, the BAR doesn't answer", decoding_off, PCI, 0},
	{"4.1.1", "the size of the BAR is a power of 2 and at least a page", bar_size, PCI, 0},
	{"4.1.1", "the BAR can be moved", bar_moves, PCI, 0},
	{"4.1.2.1", "the vendor ID is 0x1af4", vendor, PCI, 0},
	{"4.1.2.1", "the device ID is 0x1041 or 0x1000", device_id, PCI, 0},
	{"4.1.2.1", "the revision ID is at least 1", revision, PCI, 0},
	{"4.1.2.1", "the subsystem device ID is at least 0x40", subsystem, PCI, 0},
	{"4.1.3.2", "halves of 64-bit fields are accessed independently", halves, PCI, 0},
	{"4.1.4.2", "cap_len covers each structure with its extra fields", cap_len, PCI, 0},
	{"4.1.4", "each structure is inside of its BAR", inside_bar, PCI, 0},
	{"4.1.4.3.1", "there is a common configuration capability", has_common, PCI, 0},
	{"4.1.4.3.1", "its offset is a multiple of 4", common_aligned, PCI, 0},
	{"4.1.4.3.1", "device_feature is 0 from bit 64 on", high_features, PCI, 0},
	{"4.1.4.3.1", "selectors read back", selectors_read_back, PCI, 0},
	{"4.1.4.3.1", "driver_feature shows what the driver accepted", driver_features, PCI, 0},
	{"4.1.4.3.1", "num_queues counts all queues", num_queues, PCI, 0},
	{"4.1.4.3.1", "fields that only the device writes don't change", read_only_fields, PCI, 0},
	{"4.1.4.3.1", "writing 0 to device_status resets, and it reads 0", reset_reads_zero, PCI,
	 0},
	{"4.1.4.3.1", "queue_enable is 0 after a reset", enable_after_reset, PCI, 0},
	{"4.1.4.3", "queue_enable reads back", enable_reads_back, PCI, 0},
	{"4.1.4.3.1", "queue_size is 0 for a queue that doesn't exist", absent_queue, PCI, 0},
	{"4.1.4.3.1", "a queue that doesn't exist can't be enabled", absent_queue_not_enabled, PCI,
	 0},
	{"4.1.4.3.1", "queue_size is 0 or a power of 2", size_power_of_two, PCI | SPLIT, 0},
	{"4.1.4.3", "queue_size reads back as it was written", size_reads_back, PCI, 0},
	{"4.1.4.3", "queue_size is the maximum again after a reset", size_after_reset, PCI, 0},
	{"4.1.4.3.1", "queue_reset is 0 after a reset and when the queue is enabled",
	 queue_reset_zero, PCI, FEATURE(VIRTIO_F_RING_RESET)},
	{"4.1.4.3.1", "queue_reset and queue_enable are 0 when a queue's reset is done",
	 queue_reset_done, PCI, FEATURE(VIRTIO_F_RING_RESET)},
	{"4.1.4.3.1", "queue_reset is 0 when the queue was enabled again",
	 queue_reset_enabled_again, PCI, FEATURE(VIRTIO_F_RING_RESET)},
	{"4.1.4.4.1", "there is a notification capability", has_notify, PCI, 0},
	{"4.1.4.4.1", "its offset is aligned to what is written there", notify_aligned, PCI, 0},
	{"4.1.4.4.1", "notify_off_multiplier is 0 or a power of 2", notify_multiplier, PCI, 0},
	{"4.1.4.4.1", "its length covers each queue", notify_length, PCI, 0},
	{"4.1.4.5.1", "there is an ISR status capability", has_isr, PCI, 0},
	{"4.1.4.5.1", "ISR status shows a used buffer without MSI-X", isr_queue, PCI, 0},
	{"4.1.4.5.1", "reading ISR status clears it", isr_cleared, PCI, 0},
	{"4.1.4.5.1", "Interrupt Status in PCI Status follows ISR status", interrupt_status, PCI,
	 0},
	{"4.1.4.5.1", "ISR status shows a configuration change", isr_config, PCI, 0},
	{"2.4", "ISR status is 0 after a reset", isr_after_reset, PCI, 0},
	{"4.1.4.6.1", "the offset of the device's configuration is a multiple of 4", device_aligned,
	 PCI, 0},
	{"4.1.4.6", "there is a capability for the device's configuration", has_device, PCI, 0},
	{"4.1.4.7.1", "there is no shared memory capability", shared_memory, PCI, 0},
	{"4.1.4.8.1", "vendor data has another vendor's ID and a size of 4-byte units", vendor_data,
	 PCI, 0},
	{"4.1.4.9.1", "there is a PCI configuration access capability", has_pci, PCI, 0},
	{"4.1.4.9.1", "reading pci_cfg_data reads from the BAR", access_reads, PCI, 0},
	{"4.1.4.9.1", "writing pci_cfg_data writes to the BAR", access_writes, PCI, 0},
	{"4.1.4.9.1", "access beyond a BAR does no harm", access_out_of_range, PCI, 0},
	{"4.1.5.1.2.1", "there are 2 to 2048 MSI-X vectors", msix_size, PCI, 0},
	{"4.1.5.1.2.1", "after a reset all events are unmapped", msix_unmapped_after_reset, PCI, 0},
	{"4.1.5.1.2.1", "each event can be mapped to each vector", msix_each_vector, PCI, 0},
	{"4.1.5.1.2.1", "each event can be unmapped", msix_unmaps, PCI, 0},
	{"4.1.5.1.2.1", "mapping to a vector that doesn't exist reads NO_VECTOR",
	 msix_no_such_vector, PCI, 0},
	{"4.1.5.3.1", "with NO_VECTOR, a queue doesn't interrupt", msix_no_vector_silent, PCI, 0},
	{"4.1.5.3.1", "a queue interrupts when it is mapped again", msix_vector_again, PCI, 0},
	{"4.1.5.4.1", "with NO_VECTOR, a configuration change doesn't interrupt",
	 config_vector_silent, PCI, 0},
	{"4.1.1", "the MSI-X table reads back", msix_table_reads_back, PCI, 0},
	{"4.1.1", "a masked vector waits until it is unmasked", msix_masked, PCI, 0},
	{"4.1.1", "vectors wait while the function is masked", msix_function_masked, PCI, 0},
	{"4.1.1", "the pending bit shows what a masked vector waits for", msix_pending_bit, PCI, 0},
};

const struct test_group pci_group = TEST_GROUP(cases);
