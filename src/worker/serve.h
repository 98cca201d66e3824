/* Handlers written by hand: the calls of our own (wire/own_calls.h), and functions of CUDA's that need more
 * than to be passed on. Each runs on the lane's thread, with the request already copied. */
#ifndef VGPU_WORKER_SERVE_H
#define VGPU_WORKER_SERVE_H

#include "worker/call.h"

/* serve_device.c */
CUresult serve_device_info(struct call *call);
CUresult serve_error_string(struct call *call);
CUresult serve_pointer_attribute(struct call *call);
CUresult serve_pointer_set_attribute(struct call *call);
CUresult serve_atomic_capabilities(struct call *call);
CUresult serve_logs_dump(struct call *call);

/* device_text.c */
CUresult serve_device_text(struct call *call);

/* serve_processor_groups.c */
CUresult serve_processor_groups(struct call *call);

/* The result of the worker's own cuInit, told to the guest with the device's facts. */
void serve_set_init_result(CUresult result);
CUresult serve_init_result(void);

/* serve_context.c */
CUresult serve_cuDevicePrimaryCtxRelease_v2(struct call *call);
CUresult serve_cuDevicePrimaryCtxReset_v2(struct call *call);

/* Core dumps of the GPU would be written on the host, as the worker, at the guest's word. */
#define CONTEXT_FLAGS_REFUSED (CU_CTX_COREDUMP_ENABLE | CU_CTX_USER_COREDUMP_ENABLE)
CUresult context_flags_error(unsigned flags);

/* serve_module.c */
CUresult serve_upload(struct call *call);
CUresult serve_image_find(struct call *call);
CUresult serve_module_load(struct call *call);
CUresult serve_library_load(struct call *call);

/* serve_link.c */
CUresult serve_link_create(struct call *call);
CUresult serve_link_add(struct call *call);
CUresult serve_link_complete(struct call *call);
CUresult serve_link_destroy(struct call *call);

/* serve_function.c */
CUresult serve_enumerate(struct call *call);
CUresult serve_name_of(struct call *call);
CUresult serve_function_info(struct call *call);

/* serve_launch.c */
CUresult serve_launch(struct call *call);
CUresult serve_cluster_occupancy(struct call *call);

/* serve_tensor_map.c */
CUresult serve_tensor_map(struct call *call);

/* serve_memory.c */
CUresult serve_cuMemAlloc_v2(struct call *call);
CUresult serve_cuMemAllocPitch_v2(struct call *call);
CUresult serve_cuMemFree_v2(struct call *call);
CUresult serve_host_alloc(struct call *call);
CUresult serve_host_free(struct call *call);
CUresult serve_staging_open(struct call *call);

CUresult serve_cuMemGetInfo_v2(struct call *call);

/* Nobody else may open memory any more that is about to be freed. */
struct held_memory;
void exports_of_memory_end(const struct held_memory *held);

/* serve_pool.c */
CUresult serve_cuMemAllocAsync(struct call *call);
CUresult serve_cuMemAllocFromPoolAsync(struct call *call);
CUresult serve_cuMemFreeAsync(struct call *call);
CUresult serve_cuMemPoolCreate(struct call *call);
CUresult serve_cuMemPoolDestroy(struct call *call);
CUresult serve_cuMemPoolTrimTo(struct call *call);
CUresult serve_pool_get_attribute(struct call *call);
CUresult serve_pool_set_attribute(struct call *call);
CUresult serve_pool_set_access(struct call *call);

/* serve_virtual_memory.c */
CUresult serve_cuMemAddressReserve(struct call *call);
CUresult serve_cuMemAddressFree(struct call *call);
CUresult serve_cuMemCreate(struct call *call);
CUresult serve_memory_release(struct call *call);
CUresult serve_cuMemRetainAllocationHandle(struct call *call);
CUresult serve_cuMemMap(struct call *call);
CUresult serve_cuMemUnmap(struct call *call);
CUresult serve_memory_set_access(struct call *call);

/* Names an allocation that the driver has made; its bytes have been claimed. */
CUresult allocation_name(uint64_t wanted, CUmemGenericAllocationHandle handle, uint64_t bytes,
                         uint64_t *name);

/* serve_ipc.c */
CUresult serve_export_object(struct call *call);
CUresult serve_import_object(struct call *call);
CUresult serve_cuIpcCloseMemHandle(struct call *call);
CUresult serve_cuEventDestroy_v2(struct call *call);

/* Takes out of the guest's structure what would be an address of the worker's. */
CUresult allocation_properties_check(CUmemAllocationProp *properties);

/* Memory is to be had on a device only: what lies in the worker's own memory would be of no use to the guest.
 */
CUresult device_location_check(const CUmemLocation *location);

/* serve_copy.c */
CUresult serve_copy_to_device(struct call *call);
CUresult serve_copy_staged_to_device(struct call *call);
CUresult serve_copy_from_device(struct call *call);
CUresult serve_copy_staged_from_device(struct call *call);
CUresult serve_copy_shared(struct call *call);

/* serve_resource.c */
CUresult serve_resource_get(struct call *call);
CUresult serve_resource_split(struct call *call);
CUresult serve_resource_describe(struct call *call);

/* serve_box.c */
CUresult serve_copy_box(struct call *call);

/* serve_array.c */
CUresult serve_cuArrayCreate_v2(struct call *call);
CUresult serve_cuArray3DCreate_v2(struct call *call);
CUresult serve_cuArrayDestroy(struct call *call);
CUresult serve_cuMipmappedArrayCreate(struct call *call);
CUresult serve_cuMipmappedArrayDestroy(struct call *call);

/* serve_texture.c */
CUresult serve_texture_create(struct call *call);
CUresult serve_cuTexObjectDestroy(struct call *call);
CUresult serve_cuSurfObjectDestroy(struct call *call);
CUresult serve_texture_resource(struct call *call);
CUresult serve_texture_border(struct call *call);

/* serve_graph.c */
CUresult serve_graph_node_add(struct call *call);
CUresult serve_graph_node_set(struct call *call);
CUresult serve_graph_node_get(struct call *call);
CUresult serve_graph_list(struct call *call);
CUresult serve_graph_edges(struct call *call);
CUresult serve_graph_instantiate(struct call *call);
CUresult serve_graph_exec_update(struct call *call);
CUresult serve_graph_dot(struct call *call);
CUresult serve_cuGraphConditionalHandleCreate(struct call *call);

/* serve_user_object.c */
CUresult serve_user_object_create(struct call *call);
CUresult serve_cuUserObjectRetain(struct call *call);
CUresult serve_cuUserObjectRelease(struct call *call);
CUresult serve_cuGraphRetainUserObject(struct call *call);

/* serve_capture.c */
CUresult serve_capture_begin(struct call *call);
CUresult serve_capture_end(struct call *call);
CUresult serve_capture_info(struct call *call);
CUresult serve_capture_dependencies(struct call *call);
CUresult serve_capture_mode(struct call *call);

/* serve_stream.c */
CUresult serve_cuStreamWaitEvent(struct call *call);
CUresult serve_host_function(struct call *call);
CUresult serve_stream_batch(struct call *call);
CUresult serve_attribute_get(struct call *call);
CUresult serve_attribute_set(struct call *call);

/* callback.c */
CUresult serve_callback_next(struct call *call);

#endif
