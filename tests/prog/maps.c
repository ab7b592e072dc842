// SRC: tests/unit/packet.c tests/prog/harness.c user/migrate.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel knows of the maps is enough for another build to convert what is in them. */
#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "ct.skel.h"
#include "migrate.h"
#include "talk.h"

/* Does libbpf tell the kernel the BTF of maps of this type? The others hold numbers, and maps. */
static bool told(__u32 type)
{
	return type != BPF_MAP_TYPE_QUEUE && type != BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

static void want_converted(const struct btf *btf, __u32 type, __u32 size)
{
	char why[256] = "";
	struct migration *m = migration_plan(btf, type, btf, type, why, sizeof(why));

	CHECK_STR(why, "");
	REQUIRE(m);
	CHECK(migration_same(m));
	CHECK_EQ(migration_from_size(m), size);
	CHECK_STR(migration_dropped(m), "");
	migration_free(m);
}

// Keys and values of all maps can be converted, and are laid out as those of the same build.
TEST(convertible)
{
	const struct bpf_map *map;

	world_begin(XDP);
	bpf_object__for_each_map (map, skel->obj) {
		struct bpf_map_info info = { 0 };
		__u32 len = sizeof(info);
		struct btf *btf;

		CHECK_CASE("%s", bpf_map__name(map));
		REQUIRE(!bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &len));
		if (!told(info.type) || bpf_map__is_internal(map))
			continue;
		btf = btf__load_from_kernel_by_id(info.btf_id);
		REQUIRE(btf);
		want_converted(btf, info.btf_key_type_id, info.key_size);
		want_converted(btf, info.btf_value_type_id, info.value_size);
		btf__free(btf);
	}
}

/* BTF of a map of the running programs, and the type of its value. */
static struct btf *value_type(const char *map, __u32 *type)
{
	struct bpf_map *of = bpf_object__find_map_by_name(skel->obj, map);
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (!of || bpf_obj_get_info_by_fd(bpf_map__fd(of), &info, &len))
		return NULL;
	*type = info.btf_value_type_id;
	return btf__load_from_kernel_by_id(info.btf_id);
}

/* What another build might have had: a few of our members, elsewhere. */
static int older_settings(struct btf *btf)
{
	int u64 = btf__add_int(btf, "u64", 8, 0), u32 = btf__add_int(btf, "u32", 4, 0);
	int timeout, knob, id;

	timeout = btf__add_struct(btf, NULL, 16);
	btf__add_field(btf, "gre_timeout", u64, 0, 0);
	btf__add_field(btf, "udp_timeout", u64, 64, 0);
	knob = btf__add_struct(btf, NULL, 8);
	btf__add_field(btf, "acct", u32, 0, 0);
	btf__add_field(btf, "max", u32, 32, 0);
	id = btf__add_struct(btf, "ct_settings", 32);
	btf__add_field(btf, "knob", knob, 0, 0);
	btf__add_field(btf, "hz", u32, 64, 0);
	btf__add_field(btf, "timeout", timeout, 128, 0);
	return id;
}

// Settings of a build that had fewer, in another order, come over by name; new ones keep theirs.
TEST(settings_by_name)
{
	const struct {
		__u32 acct, max, hz, pad;
		__u64 gre, udp;
	} old = { .acct = 7, .max = 1234, .hz = 99, .gre = 555, .udp = 666 };
	struct ct_settings want, got;
	char why[256] = "";
	struct btf *from = btf__new_empty(), *to;
	struct migration *m;
	__u32 type = 0;

	world_begin(XDP);
	to = value_type("settings", &type);
	REQUIRE(to);
	m = migration_plan(from, (__u32)older_settings(from), to, type, why, sizeof(why));
	btf__free(from);
	btf__free(to);
	CHECK_STR(why, "");
	REQUIRE(m);
	want = got = get_settings();
	want.knob.acct = 7;
	want.knob.max = 1234;
	want.hz = 99;
	want.timeout.gre_timeout = 555;
	want.timeout.udp_timeout = 666;
	migration_run(m, &old, &got, NULL);
	CHECK_MEM(&got, &want, sizeof(got));
	migration_free(m);
}

CHECK_MAIN()
