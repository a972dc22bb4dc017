SUMMARY = "DMA buffers that a user's program can map"
DESCRIPTION = "Kernel module that allocates contiguous memory for devices behind UIO"
HOMEPAGE = "https://github.com/ikwzm/udmabuf"
SECTION = "kernel"
LICENSE = "BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=@license_md5"

SRC_URI = "git://github.com/ikwzm/udmabuf.git;protocol=https;branch=master"
SRCREV = "bad7d30e931501df568e9c6e38e5ecfe0791c7ed"
PV = "5+git${SRCPV}"

S = "${WORKDIR}/git"

inherit module

EXTRA_OEMAKE += "KERNEL_SRC_DIR=${STAGING_KERNEL_DIR} ARCH=arm64"
KERNEL_MODULE_AUTOLOAD += "u-dma-buf"

do_install() {
    install -d ${D}${nonarch_base_libdir}/modules/${KERNEL_VERSION}/extra
    install -m 0644 ${S}/u-dma-buf.ko ${D}${nonarch_base_libdir}/modules/${KERNEL_VERSION}/extra
}

RPROVIDES:${PN} += "kernel-module-u-dma-buf"
