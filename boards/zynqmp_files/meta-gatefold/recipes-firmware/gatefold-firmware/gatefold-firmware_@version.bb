SUMMARY = "Bitstream and device tree of a Gatefold core"
DESCRIPTION = "Firmware of build @hash, which fpgautil or dfx-mgr load"
SECTION = "firmware"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# What `make` and `make firmware` in DIR/@board have made.
FILESEXTRAPATHS:prepend := "${GATEFOLD_DIR}/@board/output:${GATEFOLD_DIR}/@board/linux:"
SRC_URI = "\
    file://gatefold.bit \
    file://gatefold.dtbo \
    file://shell.json \
"

S = "${WORKDIR}"

inherit dfx_user_dts

COMPATIBLE_MACHINE = "^$"
COMPATIBLE_MACHINE:@machine = "${MACHINE}"
