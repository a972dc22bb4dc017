SUMMARY = "Driver library of a Gatefold core"
DESCRIPTION = "libgatefold for build @hash, with its header"
SECTION = "libs"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

FILESEXTRAPATHS:prepend := "${GATEFOLD_DIR}:"
SRC_URI = "file://driver"

S = "${WORKDIR}/driver"

inherit cmake

RDEPENDS:${PN} = "u-dma-buf"
