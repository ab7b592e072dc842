/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * poke PINNED_ARRAY MEMBER VALUE...: set members of the first element's struct (32-bit words, by their names in
 * the map's BTF), as a bug or another build might.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct bpf_map_info info = {};
	const struct btf_type *t;
	__u32 len = sizeof(info), zero = 0;
	int fd = argc > 1 ? bpf_obj_get(argv[1]) : -1;
	struct btf *btf;
	char *value;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ||
	    !(btf = btf__load_from_kernel_by_id(info.btf_id)) ||
	    !(value = malloc(info.value_size)) || bpf_map_lookup_elem(fd, &zero, value)) {
		perror("poke");
		return 1;
	}
	t = btf__type_by_id(btf, info.btf_value_type_id);
	for (int i = 2; i + 1 < argc; i += 2) {
		int found = 0;

		for (int m = 0; m < btf_vlen(t); m++) {
			__u32 word = (__u32)strtoul(argv[i + 1], NULL, 0);

			if (strcmp(btf__name_by_offset(btf, btf_members(t)[m].name_off), argv[i]))
				continue;
			memcpy(value + btf_member_bit_offset(t, m) / 8, &word, sizeof(word));
			found = 1;
		}
		if (!found) {
			fprintf(stderr, "poke: no member %s\n", argv[i]);
			return 1;
		}
	}
	if (bpf_map_update_elem(fd, &zero, value, BPF_ANY)) {
		perror("poke");
		return 1;
	}
	free(value);
	btf__free(btf);
	return 0;
}
